import Synchronization
import VLMFoundation
import VLMZ

/// A model under the name that requests call it by, with what answers them.
package final class ServedModel: Sendable {
  package let name: String
  package let model: Model
  /// What writes answers; nil for a model that writes no text.
  package let engine: BatchEngine?
  /// What looks at pictures and texts; nil for a model that answers.
  ///
  /// Two overlap one's decoding with the other's computing; more would only take memory, as all share the
  /// model's threads.
  let sessions: FairPool<Session>?
  /// Seconds since 1970, for lists of models.
  let opened: Int
  private let classes = Mutex<[(key: ClassesKey, classes: TextClasses)]>([])

  /// - Throws: `VLMZError` for options that the model cannot have, or where memory is short.
  package init(
    name: String, model: Model, engine options: BatchEngineOptions, limits: ServerLimits,
    opened: Int
  ) throws {
    self.name = name
    self.model = model
    self.opened = opened
    if model.language != nil {
      engine = try BatchEngine(model: model, options: options)
      sessions = nil
    } else {
      engine = nil
      let made = try (0..<2).map { _ throws(VLMZError) in try Session(of: model) }
      sessions = FairPool(made, waiting: limits.waiting)
    }
  }

  /// What `/v1/models` tells of it.
  var json: JSONValue {
    let description = (try? model.describe()).flatMap { try? JSONValue.parse($0) }
    var object = JSONObject()
    object.set("id", .string(name))
    object.set("object", "model")
    object.set("created", .int(opened))
    object.set("owned_by", "vlmz")
    for key in ["architecture", "capabilities", "parameters", "file_bytes", "classes"] {
      if let value = description?[key], !value.isNull { object.set(key, value) }
    }
    if let engine { object.set("context_length", .int(engine.contextLength)) }
    return .object(object)
  }

  // MARK: - Errors

  /// An error as a client may see it: by the model's name, not by the server's file.
  ///
  /// - Parameter parameter: what of the request was worked on, where that is known.
  func shown(_ error: any Error, parameter: String? = nil) -> APIError {
    APIError(error, parameter: parameter)
      .replacing(model.path.escapedForDisplay(), with: "model '\(name)'")
  }

  // MARK: - Classes of the caller's

  private static let keptClasses = 8

  /// What makes classes, byte by byte: equal strings need not be the same to a model.
  private struct ClassesKey: Equatable {
    let labels: [ExactString]
    let templates: [ExactString]

    init(labels: [String], templates: [String]) {
      self.labels = labels.map { ExactString($0) }
      self.templates = templates.map { ExactString($0) }
    }
  }

  /// The classes that texts make, which are kept for the next pictures.
  func textClasses(
    _ labels: [String], templates: [String], session: Session
  ) async throws(VLMZError) -> TextClasses {
    let key = ClassesKey(labels: labels, templates: templates)
    if let kept = classes.withLock({ list in list.first { $0.key == key }?.classes }) {
      return kept
    }
    let made = try await session.textClasses(labels, templates: templates)
    classes.withLock { list in
      if list.count >= Self.keptClasses { list.removeFirst() }
      list.append((key, made))
    }
    return made
  }

  // MARK: - The end

  /// Finishes what was begun.
  func drain() async { await engine?.drain() }

  /// Breaks off what is left.
  func stop() { engine?.stop() }
}
