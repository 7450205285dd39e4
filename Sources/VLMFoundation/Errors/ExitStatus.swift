/// Exit status of the commands, after `sysexits.h` where it has a word for it.
package enum ExitStatus: Int32, Sendable {
  case success = 0
  /// `diff` ran well and found a difference, or `verify` a defect.
  case difference = 2
  case usage = 64
  case badData = 65
  case noInput = 66
  /// The processor or this build lacks something that the input needs.
  case unsupported = 69
  case internalError = 70
  case osError = 71
  case cannotCreate = 73
  case ioError = 74
  /// Nothing is lost; the same command may succeed later.
  case temporaryFailure = 75
  case noPermission = 77
  case interrupted = 130
  /// Whoever read standard output went away; of the shell for a program that SIGPIPE ended.
  case readerGone = 141
  case terminated = 143
}
