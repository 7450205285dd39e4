import VLMFoundation
import VLMModels
import VLMSignature
import VLMTensor

/// Why a call of the library failed: a kind that a program can act on, and one line for people.
///
/// Nothing that a caller passes, and nothing that a file holds, ends the process: it is thrown as
/// one of these.
public struct VLMZError: Error, Sendable, CustomStringConvertible {
  /// Kinds of failures. The raw values are those of the C interface and never change.
  public enum Code: Int32, Sendable, Hashable, CaseIterable {
    /// An argument is out of its range, empty where it must not be, or of another model.
    case invalidArgument = 1
    /// The model cannot do what was asked of it, such as answering with an image classifier.
    case notCapable = 2
    /// This machine or this build lacks what is needed: an instruction set, a decoder.
    case unsupported = 3
    /// The file is damaged, or it is not what its name promises.
    case badData = 4
    /// There is no such file, or it is not a regular file.
    case notFound = 5
    /// The file may not be read or written.
    case noPermission = 6
    /// The output exists or cannot be created.
    case cannotCreate = 7
    /// The system failed to read or write, or the model's file changed while it was in use.
    case io = 8
    /// There is less memory, or fewer of another of the system's resources, than the call needs.
    case noMemory = 9
    /// The session or conversation is in another call, or another process writes the file.
    case busy = 10
    /// The call was cancelled before it had a result.
    case cancelled = 11
    /// A fault of the library.
    case `internal` = 12
    /// The file is not signed by a key that is trusted.
    case notTrusted = 13
  }

  /// What kind of failure it is.
  public let code: Code

  /// One line, lower case, without a full stop: `<file>: <place>: <what is wrong>, found …,
  /// expected …`. Control characters are escaped, so it can be shown in a terminal.
  public let message: String

  /// The same as `message`.
  public var description: String { message }

  /// An error with a message of the caller's own.
  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  static let cancelled = VLMZError(.cancelled, "cancelled before there was a result")

  /// The public form of any error of the modules below.
  package init(_ error: any Error) {
    switch error {
    case let error as VLMZError: self = error
    case let error as ModelError where error.problem == .cancelled: self = .cancelled
    case let error as any ReportableError:
      self.init(Self.code(of: error), error.description)
    case is WorkCancelled: self = .cancelled
    default: self.init(.internal, "\(error)".escapedForDisplay(limit: 1000))
    }
  }

  private static func code(of error: any ReportableError) -> Code {
    if let error = error as? GenerationError {
      switch error.problem {
      case .notLanguage, .noTokenizer: return .notCapable
      case .tooLong, .surelyTooLong, .emptyPrompt, .text, .places: return .invalidArgument
      default: break
      }
    }
    if let error = error as? SignatureError, error.isDistrust { return .notTrusted }
    switch error.exitStatus {
    case .usage: return .invalidArgument
    case .badData, .difference: return .badData
    case .noInput: return .notFound
    case .unsupported: return .unsupported
    case .osError: return .noMemory
    case .cannotCreate: return .cannotCreate
    case .ioError: return .io
    case .temporaryFailure: return .busy
    case .noPermission: return .noPermission
    case .interrupted, .terminated, .readerGone: return .cancelled
    case .success, .internalError: return .internal
    }
  }

  /// The status of a command that ends with it.
  package var exitStatus: ExitStatus {
    switch code {
    case .invalidArgument, .notCapable: .usage
    case .unsupported: .unsupported
    case .badData: .badData
    case .notFound: .noInput
    case .noPermission, .notTrusted: .noPermission
    case .cannotCreate: .cannotCreate
    case .io: .ioError
    case .noMemory: .osError
    case .busy: .temporaryFailure
    case .cancelled: .interrupted
    case .internal: .internalError
    }
  }

  /// `message`, in whatever words: they were chosen when it was made.
  package func description(in words: Wording) -> String { message }

  /// Runs `body`; whatever it throws is thrown as a `VLMZError`.
  package static func wrapping<T>(_ body: () throws -> T) throws(VLMZError) -> T {
    do { return try body() } catch { throw VLMZError(error) }
  }

  /// - Throws: `.invalidArgument` in the words of all messages, unless `isValid`.
  package static func require(
    _ isValid: Bool, _ argument: String, found: @autoclosure () -> String, expected: String
  ) throws(VLMZError) {
    guard isValid else {
      throw VLMZError(
        .invalidArgument,
        "\(argument): found \(found().escapedForDisplay()), expected \(expected)")
    }
  }
}

extension VLMZError: ReportableError {}
