import Foundation
import Testing
import VLMCheckpoint
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// What a classifier's outputs are called, and what is shown of them.
struct ClassNameTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static func upstream(_ name: String) -> String { TestFiles.fixture("upstream/" + name) }

  /// A copy of a folder of fixtures, with members of its config.json changed.
  private func copy(_ name: String, _ changes: [(String, JSONValue)]) throws -> String {
    let source = Self.upstream(name)
    var config = try #require(try TestFiles.json(source + "/config.json").objectValue)
    for (key, value) in changes { config.set(key, value) }
    try folder.write("config.json", Array(JSONValue.object(config).serialized().utf8))
    for file in ["model.safetensors", "preprocessor_config.json"]
    where !TestFiles.exists(folder.path(file)) {
      try FileManager.default.copyItem(atPath: source + "/" + file, toPath: folder.path(file))
    }
    return folder.url.path
  }

  private func labels(
    _ path: String, file: String? = nil, scores: Scores? = nil
  ) throws -> SourceModel {
    try SourceModel.open(path: path, labels: LabelOptions(namesFile: file, scores: scores))
  }

  static let kinds: [(String, JSONValue, Scores)] = [
    ("classifier", .null, .softmax), ("one-output", .null, .sigmoid),
    ("classifier", "single_label_classification", .softmax),
    ("one-output", "single_label_classification", .sigmoid),
    ("classifier", "multi_label_classification", .sigmoid),
    ("one-output", "multi_label_classification", .sigmoid),
    ("classifier", "regression", .raw), ("one-output", "regression", .raw),
  ]

  @Test("scores are those of transformers' pipeline, from the picture on", arguments: kinds)
  func pipeline(_ name: String, _ kind: JSONValue, _ scores: Scores) throws {
    let path = try copy(name, [("problem_type", kind)])
    let session = try convertedSession(path, .f32, in: folder)
    #expect(session.scores == scores)
    let picture = TestFiles.root.path + "/docs/images/horse.png"
    let pixels = try session.preprocessing.apply(
      try ImageDecoder.decode(path: picture), name: picture)
    let logits = try #require(try session.run([pixels])[0].logits)
    let top = ClassScores.top(9, of: logits, as: session.scores)
    let expected = try #require(
      try TestFiles.json(Self.upstream("scores.json"))[
        "\(name).\(kind.stringValue ?? "None")"]?.objectValue)
    #expect(top.map { session.labels?[$0.index] } == expected.keys)
    for (candidate, member) in zip(top, expected.members) {
      let difference = abs(candidate.score - (member.value.doubleValue ?? .nan))
      #expect(difference < 1e-4, "\(member.key)")
    }
  }

  @Test("the user's word on scores is the last, and a guess is said")
  func given() throws {
    let path = try copy("one-output", [("problem_type", "regression")])
    #expect(try labels(path, scores: .softmax).scores == .softmax)
    #expect(try labels(path).notes.isEmpty)
    let untold = try labels(try copy("one-output", [("problem_type", .null)]))
    #expect(untold.notes == [Note("one output: its sigmoid is the score", .rawScores)])
    let odd = try labels(try copy("one-output", [("problem_type", "ranking")]))
    #expect(odd.notes.first?.contains("'ranking'") ?? false)
    let embedding = Self.upstream("dinov3")
    #expect(
      throws: ConversionError(
        path: embedding, .setting(.scores, found: "raw", expected: "a model with classes"))
    ) { try labels(embedding, scores: .raw) }
  }

  @Test("an unchanged container of a softmax has its names as ever, another says what it is")
  func stored() throws {
    let path = try copy("classifier", [])
    let plain = try convertedSession(path, .f32, in: folder)
    #expect(try plain.container.json(.labels) == ["tabby", "horse", "owl"])
    let multiple = try convertedSession(
      try copy("classifier", [("problem_type", "multi_label_classification")]), .f32, in: folder)
    #expect(
      try multiple.container.json(.labels)
        == ["scores": "sigmoid", "names": ["tabby", "horse", "owl"]])
    let extracted = folder.path("extracted.safetensors")
    try Extraction(path: folder.path("model.vlmz")).write(
      to: extracted, overwrite: true, form: .values(.f32), ownNames: false
    ) { _, _ in }
    let back = try labels(extracted)
    #expect(back.scores == .sigmoid)
    #expect(back.labels == ["tabby", "horse", "owl"])
    #expect(try labels(extracted, scores: .raw).scores == .raw)
  }

  // MARK: - Names

  static let files: [(String, String)] = [
    ("lines", "ant\nbee\ncat"), ("lines", "ant\nbee\ncat\n"), ("lines", "ant\r\nbee\r\ncat\r\n"),
    ("with a mark of the byte order", "\u{feff} ant \n\tbee\ncat\n\n\n"),
    ("a list", #"["ant", "bee", "cat"]"#), ("a list", "\u{feff}\n [\"ant\", \"bee\", \"cat\"]\n"),
    ("id2label", #"{"2": "cat", "0": "ant", "1": "bee"}"#),
    ("Keras's index", #"{"0": ["n1", "ant"], "1": ["n2", "bee"], "2": ["n3", "cat"]}"#),
    ("class_to_idx", #"{"cat": 2, "ant": 0, "bee": 1}"#),
    ("label2id", #"{"cat": "2", "ant": "0", "bee": "1"}"#),
    ("a member", #"{"x": 1, "classes": ["ant", "bee", "cat"]}"#),
    ("a config.json", #"{"model": {"id2label": {"0": "ant", "1": "bee", "2": "cat"}}}"#),
  ]

  @Test("a file of names is taken in every form that is in use", arguments: files)
  func forms(_ form: String, _ text: String) throws {
    let file = try folder.write("names.txt", Array(text.utf8))
    let source = try labels(Self.upstream("named/lightning.pth"), file: file)
    #expect(source.labels == ["ant", "bee", "cat"], "\(form)")
    #expect(source.files.contains(file))
  }

  @Test("letters beyond ASCII are kept, and a name that comes twice is said")
  func twice() throws {
    let file = try folder.write("names.txt", Array("crane\nGrünspecht\ncrane".utf8))
    let source = try labels(Self.upstream("classifier"), file: file)
    #expect(source.labels == ["crane", "Grünspecht", "crane"])
    #expect(
      source.notes == [Note(.labelsFile, "names that stand for more than one class: 'crane'")])
  }

  static let refused: [(String, ConversionError.Problem)] = [
    ("ant\nbee", .labels("2 names", "3, one for each output of the model")),
    (
      #"{"a": 0, "b": 1, "c": 2, "d": 3}"#,
      .labels("4 names", "3, one for each output of the model")
    ),
    ("ant\n\nbee", .labels("line 2 empty", "a name on every line")),
    ("\n\n", .labels("nothing", "a name on every line")),
  ]

  @Test("a file of other names is refused with what was found and expected", arguments: refused)
  func wrongFile(_ text: String, _ problem: ConversionError.Problem) throws {
    let file = try folder.write("names.txt", Array(text.utf8))
    #expect(throws: ConversionError(path: file, problem)) {
      try labels(Self.upstream("classifier"), file: file)
    }
  }

  @Test(
    "a file that holds no names is refused",
    arguments: [
      "[1, 2, 3]", "{}", #"{"a": 0, "b": 2, "c": 3}"#, #"{"a": 0, "b": 0, "c": 1}"#, "[\"ant\"",
      "{0: 'ant', 1: 'bee', 2: 'cat'}", #"{"classes": 3}"#, "\u{0}\u{0}[",
    ])
  func noNames(_ text: String) throws {
    let file = try folder.write("names.json", Array(text.utf8))
    let error = thrownError(ConversionError.self) {
      try labels(Self.upstream("classifier"), file: file)
    }
    #expect(error?.path == file)
  }

  @Test("bytes that are no UTF-8, and names for a model without classes, are refused")
  func unusable() throws {
    let latin = try folder.write("latin.txt", [0x47, 0x72, 0xfc, 0x6e])
    #expect(
      throws: ConversionError(path: latin, .labels("bytes that are no text", "UTF-8"))
    ) { try labels(Self.upstream("classifier"), file: latin) }
    let file = try folder.write("names.txt", Array("ant".utf8))
    #expect(
      throws: ConversionError(
        path: file, .setting(.labelsFile, found: file, expected: "a model with classes"))
    ) { try labels(Self.upstream("dinov3"), file: file) }
  }

  @Test(
    "names inside a training checkpoint are used, and said",
    arguments: [
      ("class-to-idx", "class_to_idx"), ("namespace", "args.classes"),
      ("lightning", "hyper_parameters.id2label"), ("mmpretrain", "meta.dataset_meta.classes"),
    ])
  func inside(_ name: String, _ place: String) throws {
    let source = try labels(Self.upstream("named/\(name).pth"))
    #expect(source.labels == ["ant", "bee", "cat"])
    #expect(source.notes.contains("class names from '\(place)' in the checkpoint"))
  }

  @Test("what the training script did to pictures is done, unless files beside it say otherwise")
  func trained() throws {
    let timm = try labels(Self.upstream("named/timm-settings.pth"))
    // The share of 232 that torchvision's larger models keep.
    let expected = Preprocessing.torchvision(
      resize: 165, crop: 160,
      normalization: .init(mean: [0.5, 0.4, 0.3], deviation: [0.229, 0.224, 0.225]))
    #expect(timm.preprocessing == expected)
    #expect(
      timm.notes.contains { note in
        note.hasPrefix(
          "preprocessing from 'args' in the checkpoint (img_size, interpolation, mean)")
          && note.hasSuffix(
            "of which 160 are kept, bilinear, mean 0.5 0.4 0.3, std 0.229 0.224 0.225; "
              + "a file can name other steps")
      }, "\(timm.notes)")
    let path = folder.path("model.pth")
    try FileManager.default.copyItem(
      atPath: Self.upstream("named/torchvision-settings.pth"), toPath: path)
    #expect(
      try labels(path).preprocessing
        == .torchvision(resize: 320, crop: 288, filter: .bicubic))
    try folder.write(
      "preprocessor_config.json", Array(#"{"resize_size": 64, "crop_size": 48}"#.utf8))
    #expect(try labels(path).preprocessing == .torchvision(resize: 64, crop: 48))
  }

  /// The classifier's tensors with metadata of safetensors.
  private func write(metadata: [(key: String, value: String)]) throws -> String {
    let tensors = try SafetensorsFile.read(path: Self.upstream("classifier/model.safetensors"))
    let path = folder.path("bare.safetensors")
    try SafetensorsWriter.write(
      path: path, overwrite: true, metadata: metadata,
      tensors: tensors.tensors.map { SafetensorsWriter.Entry($0) })
    return path
  }

  @Test("names in the metadata of safetensors are used where there are as many as outputs")
  func metadata() throws {
    let names = #"["ant", "bee", "cat"]"#
    for (key, value, place) in [
      ("classes", names, "classes"),
      ("config", #"{"data": {"CLASSES": \#(names)}}"#, "config.data.CLASSES"),
    ] {
      let source = try labels(try write(metadata: [("labels", "cats"), (key, value)]))
      #expect(source.labels == ["ant", "bee", "cat"], "\(key)")
      #expect(source.notes.contains("class names from '\(place)' in the checkpoint"))
    }
    let source = try labels(try write(metadata: [("classes", #"["ant", "bee"]"#)]))
    #expect(source.labels == nil)
    let gap = try labels(try write(metadata: [("class_to_idx", #"{"a": 1, "b": 2, "c": 3}"#)]))
    #expect(
      gap.notes.contains(
        Note(
          "'class_to_idx' in the checkpoint does not name 0 to N - 1, each once: left out",
          .otherLabels)))
    #expect(
      source.notes.contains(
        Note("'classes' in the checkpoint has 2 names for 3 outputs: left out", .otherLabels)))
  }

  @Test("names come from the user, else the description, else the checkpoint; LABEL_0 … at last")
  func order() throws {
    let generic: JSONValue = ["0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"]
    let path = try copy("classifier", [("id2label", generic), ("label2id", .null)])
    #expect(try labels(path).labels == ["LABEL_0", "LABEL_1", "LABEL_2"])
    let bare = try write(metadata: [("classes", #"["ant", "bee", "cat"]"#)])
    #expect(try labels(bare).labels == ["ant", "bee", "cat"])
    _ = try copy("classifier", [])
    #expect(try labels(bare).labels == ["tabby", "horse", "owl"])
    let file = try folder.write("classes.txt", Array("x\ny\nz\n".utf8))
    #expect(try labels(bare, file: file).labels == ["x", "y", "z"])
    _ = try copy("classifier", [("id2label", generic), ("label2id", .null)])
    let beside = try labels(path)
    #expect(beside.labels?.first == "LABEL_0")
    #expect(
      beside.notes.contains(Note("'classes.txt' lies beside the weights", .labels(file: file))))
  }

  @Test("the cases of scores give what transformers gives", .enabled(if: hasCases, casesReason))
  func shared() throws {
    for (name, scores) in [
      ("multi-label-softmax", Scores.sigmoid), ("one-logit-softmax", .sigmoid),
      ("vit-image-processor", .raw), ("dinov3-convnext-processor", .softmax),
    ] {
      let path = Self.cases + "/" + name
      let session = try convertedSession(path, .f32, in: folder)
      let pixels = try #require(try Expected(path + "/px.safetensors").tensor("pixel_values"))
      let result = try session.run([
        PixelTensor(
          height: pixels.shape[2], width: pixels.shape[3], channelsFirst: pixels.values)
      ])[0]
      var found = result.embedding
      if let logits = result.logits {
        let top = ClassScores.top(99, of: logits, as: scores)
        found = top.sorted { $0.index < $1.index }.map { Float($0.score) }
      }
      #expect(scores == .raw || session.scores == scores)
      let expected = try Expected(path + "/expected.safetensors")
      let name = try #require(expected.names.first { !$0.hasPrefix("pixel") })
      let want = try #require(expected.tensor(name))
      #expect(maxAbsDifference(found, want.values) < 1e-4 * want.scale, "\(path)")
    }
  }

  private static let cases = TestFiles.shared.path + "/cases/checkpoints"
  static let hasCases = TestFiles.exists(cases)
  static let casesReason: Comment = "needs the cases in ../shared, which are not here"
}
