/*
 * ipc UID…: removes the SysV segments without an attached process, the queues and the semaphores of each user that runs
 * no process. Root and text that is not a uid are skipped. Prints the number of removed objects. The objects are listed
 * before the processes are read, so an object of a process that starts meanwhile is not in the list.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/types.h>

enum { MAX_OBJECTS = 65536 };
enum kind { SEGMENT, QUEUE, SEMAPHORES };

struct object {
  enum kind kind;
  int id;
  long uid;
};

struct objects {
  struct object *held;
  size_t count;
};

static void add(struct objects *objects, enum kind kind, int id, long uid) {
  if (id >= 0 && objects->count < MAX_OBJECTS) objects->held[objects->count++] = (struct object){kind, id, uid};
}

/* Each *_STAT takes the index of a slot in the kernel and returns an id: shmctl(2), msgctl(2), semctl(2). */
static void list(struct objects *objects) {
  struct shm_info shm;
  struct msginfo msg;
  struct seminfo sem;
  int last = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&shm);
  for (int slot = 0; slot <= last; slot++) {
    struct shmid_ds facts;
    int id = shmctl(slot, SHM_STAT, &facts);
    if (id >= 0 && facts.shm_nattch == 0) add(objects, SEGMENT, id, (long)facts.shm_perm.uid);
  }
  last = msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&msg);
  for (int slot = 0; slot <= last; slot++) {
    struct msqid_ds facts;
    int id = msgctl(slot, MSG_STAT, &facts);
    if (id >= 0) add(objects, QUEUE, id, (long)facts.msg_perm.uid);
  }
  last = semctl(0, 0, SEM_INFO, &sem);
  for (int slot = 0; slot <= last; slot++) {
    struct semid_ds facts;
    int id = semctl(slot, 0, SEM_STAT, &facts);
    if (id >= 0) add(objects, SEMAPHORES, id, (long)facts.sem_perm.uid);
  }
}

static int drop(const struct object *object) {
  if (object->kind == SEGMENT) return shmctl(object->id, IPC_RMID, NULL) == 0;
  if (object->kind == QUEUE) return msgctl(object->id, IPC_RMID, NULL) == 0;
  return semctl(object->id, 0, IPC_RMID) == 0;
}

int cmd_ipc(char **args) {
  struct objects objects = {calloc(MAX_OBJECTS, sizeof(struct object)), 0};
  size_t removed = 0;
  if (objects.held == NULL) return fail("malloc", ENOMEM);
  list(&objects);
  for (; *args != NULL; args++) {
    long uid = 0;
    if (!parse_number(*args, 1, MAX_ID, &uid) || user_runs(uid)) continue;
    for (size_t i = 0; i < objects.count; i++)
      if (objects.held[i].uid == uid) removed += (size_t)drop(&objects.held[i]);
  }
  free(objects.held);
  printf("%zu\n", removed);
  return 0;
}
