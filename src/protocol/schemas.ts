/**
 * The schemas of the native API. Each name is a schema and also the type that it describes. The OpenAPI document and the
 * published types are made from them: the descriptions are public text, with units, limits and defaults.
 */

export { checkRunRequest, checkSessionRequest } from './schemas/check-run-request.ts'
export {
  CommandInfo,
  CommandList,
  CommandSummary,
  CommandUsage,
  KillReply,
  RunAccepted,
  StdinReply,
} from './schemas/command-schema.ts'
export { EventsQuery, SessionEvent, type StateProblem } from './schemas/event-schema.ts'
export {
  Base64Frame,
  type Cause,
  EndFacts,
  EndFrame,
  ErrorFrame,
  ExitFacts,
  ExitFrame,
  GapFrame,
  JsonFrame,
  KeepaliveFrame,
  StartFrame,
  type StreamName,
  TextFrame,
} from './schemas/frame-schema.ts'
export {
  COMMAND_LINE_CHARACTERS,
  ID_PATTERN,
  MAX_ARG_BYTES,
  MAX_ARGV,
  MAX_COMMAND_BYTES,
  MAX_EXEC_BYTES,
  MAX_PATH_BYTES,
  MAX_SUMMARY_STREAM_BYTES,
  MAX_TIMEOUT_MS,
  MAX_USER_BYTES,
  MAX_VARIABLES,
  SUMMARY_STREAM_BYTES,
} from './schemas/parts.ts'
export { Problem } from './schemas/problem-schema.ts'
export { Readiness, ReadinessReason, type ReasonCode } from './schemas/readiness-schema.ts'
export {
  ClearedTemporary,
  Receipt,
  SessionStart,
  StopFrame,
  StopReason,
  StopReceipt,
  StopStep,
} from './schemas/receipt-schema.ts'
export {
  CommandLimits,
  CommandParams,
  ListQuery,
  OutputQuery,
  RunQuery,
  RunRequest,
  SignalRequest,
  SignalTarget,
  StdinQuery,
} from './schemas/request-schemas.ts'
export { SessionRequest } from './schemas/session-request.ts'
export { API_VERSION, SessionInfo } from './schemas/session-schema.ts'
export { LargestQuery, WorkspaceInfo, WorkspaceLargest } from './schemas/workspace-schema.ts'
