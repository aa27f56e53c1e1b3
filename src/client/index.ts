/** guestd/client: runs commands in a guest, for control planes. */

export { type ErrorCode, GuestdError } from '../errors.ts'
export type {
  Cause,
  EndFrame,
  ErrorFrame,
  ExitFrame,
  Frame,
  GapFrame,
  KeepaliveFrame,
  OutputFrame,
  StartFrame,
  StreamName,
} from '../protocol/frames.ts'
export type {
  ClearedTemporary,
  CommandInfo,
  CommandLimits,
  KillReply,
  ReadinessReason,
  Receipt,
  SessionEvent,
  SessionInfo,
  SessionRequest,
  SessionStart,
  SignalTarget,
  StopFrame,
  StopReceipt,
  StopStep,
  WorkspaceInfo,
  WorkspaceLargest,
} from '../protocol/schemas.ts'
export { type Address, formatAddress, parseAddress } from './address.ts'
export { createClient } from './client.ts'
export { ADDRESS_FORMS, ConnectError, type ConnectErrorCode } from './connect-error.ts'
export type {
  AttachOptions,
  CallOptions,
  ClientOptions,
  CollectedResult,
  CommandResult,
  EventsOptions,
  GuestdClient,
  Health,
  Input,
  OutputOptions,
  Program,
  ReadyOptions,
  RunningCommand,
  RunRequest,
  SessionStop,
  StartRequest,
  StdinWriter,
} from './types.ts'
