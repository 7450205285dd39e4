/// Why a `BatchEngine` did not take a request, or could not finish one.
public enum EngineError: Error, Sendable, CustomStringConvertible {
  /// As many requests wait as may. About so long from now there may be room.
  case busy(retryAfter: Duration)
  /// The engine is draining, or was stopped.
  case stopped
  /// What the request asks for cannot be done, or failed; the code says which. A fault of the request is
  /// `.invalidArgument`, `.notCapable` or, for a picture, `.badData`.
  case failed(VLMZError)

  /// One line, as `VLMZError.message`.
  public var description: String {
    switch self {
    case .busy(let duration):
      "found as many requests waiting as may, expected fewer; try again in "
        + "\(max(1, duration.components.seconds)) s"
    case .stopped: "found an engine that is stopping, expected one that takes requests"
    case .failed(let error): error.message
    }
  }

  /// The engine's form of any error of the modules below.
  init(_ error: any Error) { self = error as? EngineError ?? .failed(VLMZError(error)) }
}
