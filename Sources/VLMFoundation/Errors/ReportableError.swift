/// An error that a command can show: one line, and the status it exits with.
///
/// `description` is `<file>: <place>: <what is wrong>, found, expected`, lower case, no full stop,
/// with control characters escaped.
package protocol ReportableError: Error, CustomStringConvertible, Sendable {
  var exitStatus: ExitStatus { get }
}
