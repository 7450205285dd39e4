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
  case terminated = 143
}

/// An error that a command can show: one line, and the status it exits with.
///
/// `description` is `<file>: <place>: <what is wrong>, found, expected`, lower case, no full stop,
/// with control characters escaped.
package protocol ReportableError: Error, CustomStringConvertible, Sendable {
  var exitStatus: ExitStatus { get }
}

extension String {
  /// The string with control, bidirectional-override and line-separator characters written as
  /// `\u{…}`, and bytes of a file's name that are no UTF-8 as `\xE9`, cut to `limit` characters: fit
  /// to stand in a terminal line.
  package func escapedForDisplay(limit: Int = 200) -> String {
    var result = ""
    var count = 0
    for scalar in unicodeScalars {
      if count == limit { return result + "…" }
      count += 1
      if let byte = scalar.fileNameByte {
        result += "\\x" + String(byte, radix: 16, uppercase: true)
        continue
      }
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default:
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
