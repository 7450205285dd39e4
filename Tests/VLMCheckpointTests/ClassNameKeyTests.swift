import Testing
import VLMCheckpoint
import VLMTestSupport

/// Class names in a pickle, beside its tensors.
struct ClassNameKeyTests {
  let make: TorchComposer

  init() throws { make = try TorchComposer() }

  private static let state = Pickled.state([
    ("w", .tensor(.storage(count: 4), [4], [1]))
  ])

  private func metadata(_ items: [(String, Pickled)]) throws -> [String] {
    let bytes = TorchComposer.zip(Pickled.state([("model", Self.state)] + items))
    return try make.read(bytes).metadata.map { "\($0.key)=\($0.value)" }
  }

  private static let names = Pickled.list([.text("b"), .text("a")])

  @Test("lists, tuples and dictionaries of names are exposed, with the way there")
  func forms() throws {
    let found = try metadata([
      ("classes", Self.names), ("epoch", .int(3)),
      ("class_to_idx", .dict([(.text("b"), .int(0)), (.text("a"), .int(1))])),
      ("meta", .state([("CLASSES", .tuple([.text("ä\"")]))])),
      (
        "args",
        .build(
          .call(.global("argparse", "Namespace"), []),
          .state([
            ("cfg", .state([("id2label", .dict([(.int(0), .text("x"))]))]))
          ]))
      ),
    ])
    #expect(
      found == [
        #"classes=["b","a"]"#, #"class_to_idx={"b":0,"a":1}"#, #"meta.CLASSES=["ä\""]"#,
        #"args.cfg.id2label={"0":"x"}"#,
      ])
  }

  @Test("what a training script does to pictures is exposed, numbers and words alone")
  func settings() throws {
    let found = try metadata([
      ("mean", .raw([0x47] + Self.bigEndian(0.5))),
      (
        "args",
        .build(
          .call(.global("argparse", "Namespace"), []),
          .state([
            ("img_size", .int(160)), ("crop_pct", .none), ("interpolation", .text("")),
            ("mean", .list([.int(0), .int(1), .int(0)])), ("std", .list([.text("x")])),
            ("lr", .int(3)), ("input_size", .tuple([Pickled](repeating: .int(1), count: 5))),
          ]))
      ),
    ])
    #expect(found == [#"={"mean":0.5}"#, #"args={"img_size":160,"mean":[0,1,0]}"#])
  }

  private static func bigEndian(_ value: Double) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(56 - 8 * $0)) }
  }

  @Test("what is no names is passed over")
  func others() throws {
    #expect(
      try metadata([
        ("classes", .int(10)), ("labels", .list([.int(1)])), ("vocab", .list([])),
        ("names", Self.names), ("optimizer", .state([("classes", Self.names)])),
        ("categories", .list([.text("a"), .none])), ("id2label", Self.state),
        ("label2id", .dict([(.tuple([.int(1)]), .int(2))])),
      ]).isEmpty)
  }

  @Test("the last value of a key counts, and more than the limits is left out")
  func limits() throws {
    #expect(
      try metadata([("classes", Self.names), ("classes", .list([.text("z")]))])
        == [#"classes=["z"]"#])
    let many = Pickled.list([Pickled](repeating: .text("x"), count: 1 << 18))
    #expect(try metadata([("labels", many), ("classes", Self.names)]).count == 1)
    let long = Pickled.list([.text(String(repeating: "x", count: 9 << 20))])
    #expect(try metadata([("labels", long)]).isEmpty)
  }
}
