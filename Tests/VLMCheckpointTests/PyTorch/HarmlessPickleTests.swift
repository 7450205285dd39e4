import Testing
import VLMCheckpoint
import VLMTestSupport

/// Objects that training tools leave in pickles beside tensors. They stay inert.
@Suite struct HarmlessPickleTests {
  let make: TorchComposer

  init() throws { make = try TorchComposer() }

  private func state(with value: Pickled) -> [UInt8] {
    TorchComposer.zip(
      .dict([
        (.text("w"), .tensor(.storage(count: 4), [2, 2], [2, 1])), (.text("x"), value),
      ]))
  }

  private static func attribute(_ owner: Pickled, _ name: String) -> Pickled {
    .call(.global("__builtin__", "getattr"), [owner, .text(name)])
  }

  /// The dotted name of protocol 4.
  private static func dotted(_ module: String, _ name: String) -> Pickled {
    .raw(Pickled.text(module).opcodes + Pickled.text(name).opcodes + [0x93])
  }

  private static let color = Pickled.global("project.kinds", "Color")
  private static let history = Pickled.global("mmengine.logging.history_buffer", "HistoryBuffer")
  private static let array = Pickled.build(
    .call(
      .global("numpy._core.multiarray", "_reconstruct"),
      [
        .global("numpy", "ndarray"), .tuple([.int(0)]),
        .call(.global("_codecs", "encode"), [.text("b"), .text("latin1")]),
      ]), .tuple([.int(1), .tuple([.int(1)])]))

  static let harmlessCases: [(what: String, value: Pickled)] = [
    ("a member of an enumeration by its name", attribute(color, "RED")),
    ("a member of an enumeration by its value", .call(color, [.int(1)])),
    ("a member, as protocol 4 names it", dotted("project.kinds", "Color.RED")),
    ("a nested class", .call(attribute(.global("project", "Outer"), "Inner"), [.int(1)])),
    ("a class nested twice", attribute(attribute(.global("p", "A"), "B"), "C")),
    ("a method", .list([attribute(history, "mean"), attribute(history, "current")])),
    ("a member of an object", attribute(.call(color, [.int(1)]), "name")),
    (
      "mmengine's history",
      .build(
        .call(
          .global("copyreg", "_reconstructor"), [history, .global("builtins", "object"), .none]),
        .dict([(.text("_log_history"), array), (.text("min"), attribute(history, "min"))]))
    ),
    ("a partial function", .call(.global("functools", "partial"), [.global("torch", "add")])),
    ("a queue", .call(.global("collections", "deque"), [.list([.int(1)]), .int(8)])),
    ("a counter", .call(.global("collections", "Counter"), [.dict([(.text("a"), .int(1))])])),
    (
      "options",
      .build(.call(.global("argparse", "Namespace"), []), .dict([(.text("lr"), .int(1))]))
    ),
    ("a path", .call(.global("pathlib", "PosixPath"), [.text("/"), .text("tmp")])),
    ("a time", .call(.global("datetime", "datetime"), [.text("x")])),
    ("a device and a type", .list([.call(.global("torch", "device"), [.text("cuda"), .int(0)])])),
    ("a type of nothing", .call(.global("builtins", "type"), [.none])),
    ("an error", .call(.global("builtins", "ValueError"), [.text("x")])),
    ("a setting", .call(.global("omegaconf.dictconfig", "DictConfig"), [])),
    (
      "an operator", .call(.global("functools", "partial"), [.global("_operator", "add"), .int(1)])
    ),
    ("an item", .call(.global("operator", "itemgetter"), [.int(1)])),
    ("an attribute", .call(.global("operator", "attrgetter"), [.text("a.b"), .text("c")])),
    ("a method of a text", attribute(.global("__builtin__", "str"), "upper")),
    ("a text's method by its name", dotted("builtins", "str.upper")),
    ("a signal's name", attribute(.call(.global("signal", "Signals"), [.int(2)]), "name")),
    ("a path's name", attribute(.call(.global("pathlib", "PosixPath"), [.text("a")]), "name")),
    ("a signal", .call(.global("signal", "Signals"), [.int(2)])),
    // cls, args, kwargs NEWOBJ_EX
    (
      "an object with named arguments",
      .raw(color.opcodes + Pickled.tuple([]).opcodes + Pickled.dict([]).opcodes + [0x92])
    ),
  ]

  @Test("harmless things beside the tensors are passed over", arguments: harmlessCases)
  func harmless(what: String, value: Pickled) throws {
    let catalog = try make.read(state(with: value), .init(state: .everything))
    #expect(catalog.tensors.map(\.name) == ["w"], "\(what)")
    #expect(try catalog["w"]?.floats() == [1, 2, 3, 4])
  }

  static let hostileCases: [(what: String, value: Pickled, name: String)] = [
    ("eval as an attribute", attribute(.global("pandas", "DataFrame"), "eval"), "DataFrame.eval"),
    ("a module's module", attribute(attribute(.global("p", "q"), "os"), "system"), "q.os.system"),
    ("the same, dotted", dotted("p", "q.os.system"), "p.q.os.system"),
    ("a module by its name", dotted("torch", "serialization.load"), "torch.serialization.load"),
    ("the same in two steps", attribute(.global("torch", "serialization"), "load"), "load"),
    ("globals of a function", attribute(.global("p", "f"), "__globals__"), "f.__globals__"),
    ("subclasses", dotted("builtins", "object.__subclasses__"), "object.__subclasses__"),
    ("a way around", dotted("p", "q..r"), "p.q..r"),
    ("an attribute of an object", attribute(.call(color, []), "__class__"), "__class__"),
    ("a file's end", .call(dotted("pathlib", "Path.unlink"), [.text("a")]), "Path.unlink"),
    ("the same, older", attribute(.global("pathlib", "PosixPath"), "unlink"), "PosixPath.unlink"),
    (
      "the same, of a path",
      attribute(.call(.global("pathlib", "PosixPath"), [.text("a")]), "rename"),
      "pathlib.PosixPath.rename"
    ),
    (
      "TorchScript from elsewhere",
      .call(.global("torch.jit._serialization", "load"), [.text("a")]),
      "torch.jit._serialization.load"
    ),
    (
      "globals by a getter",
      .call(.global("operator", "attrgetter"), [.text("a"), .text("b.__globals__")]), "__globals__"
    ),
    (
      "a command by a getter", .call(.global("_operator", "attrgetter"), [.text("system")]),
      "system"
    ),
    ("a caller", .call(.global("operator", "methodcaller"), [.text("x")]), "methodcaller"),
    (
      "getattr for another to call",
      .call(
        .global("functools", "partial"),
        [.global("builtins", "getattr"), .global("p", "f"), .text("__globals__")]),
      "builtins.getattr"
    ),
    (
      "all builtins as an item",
      .call(.global("operator", "getitem"), [.global("p", "__builtins__"), .text("eval")]),
      "p.__builtins__"
    ),
    ("an import", attribute(.global("p", "importlib"), "import_module"), "import_module"),
  ]

  @Test("attributes that lead to what runs code are refused", arguments: hostileCases)
  func hostile(what: String, value: Pickled, name: String) throws {
    try make.expectRefusal(state(with: value), name, "could run code")
  }

  @Test("attributes of attributes do not grow without bound")
  func chain() throws {
    // The owner is taken from the memo, extended and stored again.
    var opcodes = Self.color.opcodes + [0x71, 1, 0x30]
    let name = Pickled.text("member").opcodes + [0x71, 2, 0x30]
    let getattr = Pickled.global("builtins", "getattr").opcodes + [0x71, 3, 0x30]
    opcodes += name + getattr
    for _ in 0..<200 { opcodes += [0x68, 3, 0x68, 1, 0x68, 2, 0x86, 0x52, 0x71, 1, 0x30] }
    let text = try make.refusal(state(with: .raw(opcodes + [0x4e])))
    #expect(text != nil)
  }

  @Test("getattr of something else than a name is refused")
  func wrongArguments() throws {
    for arguments: [Pickled] in [[], [Self.color], [Self.color, .int(1)]] {
      let call = Pickled.call(.global("builtins", "getattr"), arguments)
      try make.expectRefusal(state(with: call), "arguments of 'builtins.getattr'")
    }
  }
}
