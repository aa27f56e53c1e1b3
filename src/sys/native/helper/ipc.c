/*
 * ipc UID…: removes the SysV segments, queues and semaphores of each user that no process runs as, and that nothing
 * is attached to. Prints how many there were. The list of them is read before the processes are: what a process
 * makes that begins meanwhile is not in it.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <dirent.h>
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

/* The kernel numbers its slots; each *_STAT takes a slot and gives the id: shmctl(2), msgctl(2), semctl(2). */
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

/* By all four of its ids: "Uid: REAL EFFECTIVE SAVED FS", proc(5). */
static int is_of(const char *pid, long uid) {
  char path[300], line[256];
  long ids[4];
  int found = 0;
  snprintf(path, sizeof path, "/proc/%s/status", pid);
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  while (!found && fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "Uid: %ld %ld %ld %ld", &ids[0], &ids[1], &ids[2], &ids[3]) != 4) continue;
    for (int i = 0; i < 4; i++) found |= ids[i] == uid;
  }
  fclose(file);
  return found;
}

int user_runs(long uid) {
  DIR *processes = opendir("/proc");
  const struct dirent *entry = NULL;
  int found = processes == NULL;
  while (!found && (entry = readdir(processes)) != NULL)
    if (number(entry->d_name) > 0) found = is_of(entry->d_name, uid);
  if (processes != NULL) closedir(processes);
  return found;
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
    long uid = number(*args);
    if (uid <= 0 || user_runs(uid)) continue;
    for (size_t i = 0; i < objects.count; i++)
      if (objects.held[i].uid == uid) removed += (size_t)drop(&objects.held[i]);
  }
  free(objects.held);
  printf("%zu\n", removed);
  return 0;
}
