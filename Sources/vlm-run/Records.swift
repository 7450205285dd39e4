import ArgumentParser
import VLMCommandLine
import VLMContainer
import VLMFoundation
import VLMTensor

/// Results and failures, in the order of what they are about, and the status that they end with.
final class Records {
  enum Format { case text, json, jsonLines }

  let format: Format
  private(set) var failure: ExitStatus?
  private(set) var objects: [JSONValue] = []

  init(_ format: Format) { self.format = format }

  /// An object of the result; nothing of a text.
  func add(_ object: JSONValue) {
    switch format {
    case .text: break
    case .json: objects.append(object)
    case .jsonLines: Report.line(object.serialized())
    }
  }

  /// What there is in the place of a result; the others are still done. The first decides the status.
  func fail(_ error: any ReportableError, members: JSONObject) {
    failure = failure ?? error.exitStatus
    guard format != .text else {
      Report.error(error, program: "vlm-run")
      return
    }
    var object = members
    object.set("error", Self.object(error))
    add(.object(object))
  }

  /// Keeps the status of an error that is told elsewhere.
  func note(_ error: any ReportableError) { failure = failure ?? error.exitStatus }

  private static func object(_ error: any ReportableError) -> JSONValue {
    ["message": .string(error.shown), "status": .int(Int(error.exitStatus.rawValue))]
  }

  /// Prints what `--json` shows as one array, also of a run that an error ends.
  ///
  /// - Throws: what `body` throws; the first failure's status as `ExitCode`.
  func finishing(_ body: () throws -> Void) throws {
    do { try body() } catch {
      if !objects.isEmpty { printArray() }
      throw error
    }
    printArray()
    try end()
  }

  /// - Throws: the first failure's status as `ExitCode`.
  func end() throws {
    if let failure { throw ExitCode(failure.rawValue) }
  }

  private func printArray() {
    if format == .json { Report.line(JSONValue.array(objects).serialized(pretty: true)) }
  }
}

extension Error {
  /// Whether it is about the model's file, so that the next picture would fail too.
  func isAbout(model path: String) -> Bool {
    self is ContainerError || (self as? FileError)?.path == path
  }
}
