import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTestSupport

/// Which part of a training checkpoint is the model.
@Suite struct StateChoiceTests {
  let make: TorchComposer

  init() throws { make = try TorchComposer() }

  private static let tensor = Pickled.tensor(.storage(count: 4), [4], [1])
  private static let state = Pickled.state([("w", tensor)])

  private func names(
    _ items: [(String, Pickled)], _ state: StateSelection = .automatic
  ) throws -> [String] {
    try make.read(TorchComposer.zip(Pickled.state(items)), .init(state: state)).tensors.map(\.name)
  }

  @Test("a bare dictionary of tensors is the state, whatever else it holds")
  func bare() throws {
    #expect(try names([("a.w", Self.tensor), ("epoch", .int(3))]) == ["a.w"])
  }

  @Test(
    "the usual wrappers are looked through",
    arguments: ["state_dict", "model_state_dict", "model", "module", "model_ema", "ema", "net"])
  func wrapper(_ key: String) throws {
    let optimizer = ("optimizer", Pickled.dict([(.text("state"), Self.state)]))
    #expect(try names([optimizer, (key, Self.state), ("epoch", .int(3))]) == ["w"])
  }

  @Test("wrappers in wrappers, and a single state under any name")
  func nested() throws {
    let inner = Pickled.state([("module", Self.state)])
    #expect(try names([("model_ema", inner)]) == ["w"])
    #expect(try names([("student", Self.state), ("epoch", .int(1))]) == ["w"])
  }

  @Test("averaged weights are preferred, and the choice is told")
  func average() throws {
    let other = Pickled.state([("v", Self.tensor)])
    let items = [("state_dict", Self.state), ("state_dict_ema", other)]
    let catalog = try make.read(TorchComposer.zip(Pickled.state(items)))
    #expect(catalog.tensors.map(\.name) == ["v"])
    #expect(
      catalog.warnings == [
        Note("reading the state 'state_dict_ema' of 'state_dict_ema', 'state_dict'", .anotherState)
      ])
    #expect(try names(items, .named("state_dict")) == ["w"])
    #expect(try names(items, .everything) == ["state_dict.w", "state_dict_ema.v"])
  }

  @Test("another whole model is told of, a part of the training is not")
  func furtherModels() throws {
    let large = Pickled.state(["a", "b", "c"].map { ($0, Self.tensor) })
    for key in ["generator", "teacher", "best_model"] {
      let items = [(key, large), ("model", large), ("loss", Self.state)]
      let catalog = try make.read(TorchComposer.zip(Pickled.state(items)))
      #expect(
        catalog.warnings == [
          Note("reading the state 'model' of 'model', '\(key)'", .anotherState)
        ])
    }
    let alone = [("model", large), ("loss", Self.state)]
    #expect(try make.read(TorchComposer.zip(Pickled.state(alone))).warnings.isEmpty)
  }

  @Test("a path of keys chooses; keys may hold dots")
  func path() throws {
    let deep = Pickled.state([("b.c", Pickled.state([("d", Self.state)]))])
    #expect(try names([("a", deep)], .named("a.b.c.d")) == ["w"])
    #expect(try names([("a", deep)], .named("a.b.c")) == ["d.w"])
  }

  @Test("the last part of a path may be what keys begin with")
  func prefix() throws {
    let state = Pickled.state([
      ("net.w", Self.tensor), ("net.a.b", Self.tensor), ("network.w", Self.tensor),
      ("ema.module.w", Self.tensor), ("ema.decay", Self.tensor),
    ])
    let items = [("state_dict", state), ("epoch", .int(1))]
    #expect(try names(items, .named("state_dict.net")) == ["w", "a.b"])
    #expect(try names(items, .named("state_dict.ema.module")) == ["w"])
    #expect(try names([("net.w", Self.tensor), ("x", .int(1))], .named("net")) == ["w"])
    for name in ["state_dict.ne", "state_dict.net.", "state_dict.net.w.x"] {
      let bytes = TorchComposer.zip(Pickled.state(items))
      let text = try make.refusal(bytes, .init(state: .named(name)))
      #expect(text == "no state '\(name)', expected one of 'state_dict'", "\(name)")
    }
  }

  @Test("a path into a file of one state is refused")
  func single() throws {
    let bytes = TorchComposer.zip(Self.state)
    let text = try make.refusal(bytes, .init(state: .named("ema")))
    #expect(text == "no state 'ema': the file holds one")
  }

  @Test("a path that leads nowhere is refused with what there is")
  func nowhere() throws {
    let bytes = TorchComposer.zip(Pickled.state([("model", Self.state), ("x", .int(1))]))
    for name in ["ema", "model.w.x", "mode", "x.y"] {
      let text = try make.refusal(bytes, .init(state: .named(name)))
      #expect(text == "no state '\(name)', expected one of 'model'")
    }
  }

  @Test("tensors of other states need not be readable")
  func others() throws {
    let sparse = Pickled.call(.global("torch._utils", "_rebuild_sparse_tensor"), [])
    #expect(try names([("model", Self.state), ("optimizer", .state([("g", sparse)]))]) == ["w"])
  }
}
