import Synchronization
import VLMTensor
import VLMTestSupport

@testable import VLMZ

/// An engine that computes only when it is told to, so that tests know what happens in which order.
struct ServedModel {
  let model: Model
  let engine: BatchEngine
  let clock = ManualClock()
  let layers = LayerHook()
  private let folder: LibraryModels

  /// Positions of a page: few, so that short prompts have several.
  static let page = KeyValuePages.panel

  init(
    _ models: LibraryModels, _ options: BatchEngineOptions = BatchEngineOptions(),
    masks: MaskWorker = MaskWorker(), costs: PassCosts = PassCosts()
  ) throws {
    folder = models
    model = try models.open()
    let (clock, layers) = (clock, layers)
    engine = try BatchEngine(
      model: model, options: options, pagePositions: Self.page, masks: masks, costs: costs,
      now: { clock.now }, betweenLayers: { layers.pass() })
  }

  /// One that tells stories.
  static func stories(_ options: BatchEngineOptions = BatchEngineOptions()) throws -> ServedModel {
    try ServedModel(.stories(), options)
  }

  /// Computes until there is nothing left to do; returns the number of rounds.
  @discardableResult
  func finish() -> Int {
    var rounds = 0
    while engine.core.hasWork {
      engine.core.prepareNext()
      engine.core.turn()
      rounds += 1
    }
    return rounds
  }

  /// The answers to all requests, which are computed together.
  func answers(_ requests: [GenerationRequest]) async throws -> [GenerationResult] {
    let streams = try requests.map { try engine.submit($0) }
    finish()
    var results: [GenerationResult] = []
    for stream in streams { results.append(try await stream.result()) }
    return results
  }

  func answer(_ request: GenerationRequest) async throws -> GenerationResult {
    try await answers([request])[0]
  }

  /// What a conversation of its own answers.
  func alone(_ text: String, _ options: AnswerOptions) throws -> Answer {
    try Conversation(with: model).ask(text, options: options)
  }
}

/// A clock that goes only when it is told to.
final class ManualClock: Sendable {
  private let start = ContinuousClock().now
  private let passed = Atomic<Int>(0)
  private let looks = Mutex<(left: Int, action: (@Sendable () -> Void)?)>((0, nil))

  var now: ContinuousClock.Instant {
    let action = looks.withLock { looks -> (@Sendable () -> Void)? in
      looks.left -= 1
      guard looks.left == 0 else { return nil }
      return looks.action
    }
    action?()
    return start + .seconds(passed.load(ordering: .relaxed))
  }

  func pass(seconds: Int) { passed.add(seconds, ordering: .relaxed) }

  /// Calls `action` when the time is asked for so many times from now on.
  func onLook(_ count: Int, _ action: @escaping @Sendable () -> Void) {
    looks.withLock { $0 = (count, action) }
  }
}

/// Does something between two layers of a pass.
final class LayerHook: Sendable {
  private let state = Mutex<(passed: Int, action: (@Sendable (Int) -> Void)?)>((0, nil))

  /// From now on `action` is called with 1, 2 … between layers, until it is set anew.
  func set(_ action: (@Sendable (Int) -> Void)?) { state.withLock { $0 = (0, action) } }

  func pass() {
    let (count, action) = state.withLock { state in
      state.passed += 1
      return (state.passed, state.action)
    }
    action?(count)
  }
}

/// A text of so many words, for prompts of several pages.
func story(words: Int, _ first: String = "Once") -> String {
  let some = ["upon", "a", "time", "there", "was", "a", "little", "girl", "named", "Lily"]
  return first + (0..<words).map { " " + some[$0 % some.count] }.joined()
}
