import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Models that are not what they seem, as the commands say it.
@Suite("Models that are not what they seem")
struct ModelCheckTests {
  let folder: TemporaryFolder
  private static let language = TestFiles.fixture("stories260K")
  private var output: String { folder.path("out.vlmz") }

  init() throws { folder = try TemporaryFolder() }

  /// A copy of the language model with other members of `config.json`, other tensors besides, and
  /// other files.
  private func copy(
    config changes: [(String, JSONValue)] = [], tensors: [SafetensorsWriter.Entry] = [],
    files: [(String, String)] = []
  ) throws {
    let file = Self.language + "/config.json"
    var object = try TestFiles.json(file).objectValue ?? JSONObject()
    for (key, value) in changes { object.set(key, value) }
    try folder.write("config.json", Array(JSONValue.object(object).serialized().utf8))
    let catalog = try Checkpoint.read(path: Self.language)
    let entries = try catalog.tensors.map { tensor in
      SafetensorsWriter.Entry(
        name: tensor.name, shape: tensor.shape, floats: try tensor.floats())
    }
    try SafetensorsWriter.write(
      path: folder.path("model.safetensors"), overwrite: true, tensors: entries + tensors)
    let tokenizer = "tokenizer.model"
    if !files.contains(where: { $0.0 == "tokenizer.json" }) {
      try folder.write(
        tokenizer, Array(Data(contentsOf: URL(fileURLWithPath: Self.language + "/" + tokenizer))))
    }
    for (name, source) in files {
      try folder.write(name, Array(Data(contentsOf: URL(fileURLWithPath: source))))
    }
  }

  private func refusal(_ arguments: String...) throws -> (status: Int32, line: String) {
    let outcome = try CommandRunner.run("vlm-convert", [folder.url.path, output] + arguments)
    #expect(!TestFiles.exists(output))
    #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
    return (outcome.status, outcome.errorLine)
  }

  @Test("tensors and keys that change a language model are refused in one line that names them")
  func refused() throws {
    let extra = SafetensorsWriter.Entry(
      name: "model.layers.0.self_attn.q_norm.weight", shape: [8],
      floats: .init(repeating: 1, count: 8))
    try copy(tensors: [extra])
    var (status, line) = try refusal("-q")
    #expect(status == 65)
    #expect(line.contains("'\(extra.name)'") && line.contains("--ignore-unexpected"))
    let accepted = try CommandRunner.convert(folder.url.path, output, "--ignore-unexpected")
    #expect(accepted.status == 0)
    #expect(accepted.errors.contains("left out: '\(extra.name)'"))
    try FileManager.default.removeItem(atPath: output)

    try copy(config: [("attn_logit_softcapping", 50)])
    (status, line) = try refusal("-q")
    #expect(status == 65)
    #expect(line.contains("attn_logit_softcapping: found '50', expected 0 or none"), "\(line)")
  }

  @Test("frequencies of the rotation are inert where they are those of the description")
  func frequencies() throws {
    func table(_ base: Double) -> SafetensorsWriter.Entry {
      .init(
        name: "model.layers.0.self_attn.rotary_emb.inv_freq", shape: [4],
        floats: (0..<4).map { Float(pow(base, -Double($0) / 4)) })
    }
    try copy(tensors: [table(10_000)])
    #expect(try CommandRunner.convert(folder.url.path, output, "-q").status == 0)
    try FileManager.default.removeItem(atPath: output)
    try copy(tensors: [table(500_000)])
    let (status, line) = try refusal("-q")
    #expect(status == 65 && line.contains("rotary_emb.inv_freq"), "\(line)")
  }

  @Test("a pointer or a page in the place of a template or a tokenizer is refused as such")
  func notFetched() throws {
    let pointer = try folder.write(
      "pointer", Array("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n".utf8))
    let page = try folder.write(
      "page", Array("<!DOCTYPE html>\n<html><body>404</body></html>".utf8))
    let answer = try folder.write("answer", Array(#"{"error":"Entry not found"}"#.utf8))
    let empty = try folder.write("empty", [])
    for (name, source, found) in [
      (
        "chat_template.jinja", pointer, "this is a Git LFS pointer, expected a chat template; fetch"
      ),
      ("chat_template.jinja", page, "this is an HTML page, expected a chat template"),
      ("tokenizer.model", pointer, "this is a Git LFS pointer, expected a tokenizer's file; fetch"),
      ("tokenizer.json", pointer, "this is a Git LFS pointer, expected a tokenizer's file; fetch"),
      ("generation_config.json", pointer, "this is a Git LFS pointer, expected a JSON text; fetch"),
      ("generation_config.json", answer, "this is the text \"{\"error\":\"Entry not found\"}\", a"),
      ("config.json", answer, "this is the text \"{\"error\":\"Entry not found\"}\", a server's"),
      ("config.json", empty, "this is an empty file, expected a JSON text; download it again"),
      ("tokenizer_config.json", page, "this is an HTML page, expected a JSON text; download it"),
    ] {
      try copy(files: [(name, source)])
      let (status, line) = try refusal("-q")
      #expect(status == 65)
      #expect(line.contains("\(name): \(found)"), "\(line)")
      try FileManager.default.removeItem(atPath: folder.path(name))
    }
  }

  @Test("a byte order mark before JSON is skipped, and another encoding is told")
  func encodings() throws {
    try copy()
    for name in ["config.json", "tokenizer_config.json", "special_tokens_map.json"] {
      let path = folder.path(name)
      let content = FileManager.default.contents(atPath: path) ?? Data("{}".utf8)
      try? FileManager.default.removeItem(atPath: path)
      try (Data([0xef, 0xbb, 0xbf]) + content).write(to: URL(fileURLWithPath: path))
    }
    let marked = try CommandRunner.convert(folder.url.path, output, "--f32", "-q")
    try #require(marked.status == 0, "\(marked.errors)")
    let said = try CommandRunner.vlmRun(output, "-p", "Once upon a time", "-n", "8", "-q")
    #expect(said.output.hasPrefix(", there was a"), "\(said.output)")
    try FileManager.default.removeItem(atPath: output)
    let config = folder.path("config.json")
    let text = String(
      decoding: try Data(contentsOf: URL(fileURLWithPath: config)).dropFirst(3), as: UTF8.self)
    for wide in [text.data(using: .utf16LittleEndian), text.data(using: .utf16)] {
      try #require(wide).write(to: URL(fileURLWithPath: config))
      let (status, line) = try refusal("-q", "--force")
      #expect(status == 65)
      #expect(
        line.contains("config.json: invalid JSON at byte 0: the text is in UTF-16, expected UTF-8"),
        "\(line)")
    }
  }

  @Test("a link that leads nowhere is refused, whatever it should have been")
  func links() throws {
    for name in ["config.json", "generation_config.json", "chat_template.jinja"] {
      try copy()
      try? FileManager.default.removeItem(atPath: folder.path(name))
      symlink("../../blobs/gone", folder.path(name))
      let (status, line) = try refusal("-q")
      #expect(status == 65)
      #expect(
        line.contains("\(name): is a link to a file that is not there; download it again"),
        "\(line)")
      try FileManager.default.removeItem(atPath: folder.path(name))
    }
  }

  @Test("a tokenizer with tokens that have no embeddings is refused, with the first of them")
  func tokenizer() throws {
    let larger = TestFiles.fixture("tokenizer/bytelevel-small.tokenizer.json")
    try copy(files: [("tokenizer.json", larger)])
    var (status, line) = try refusal("-q")
    #expect(status == 65)
    #expect(
      line.contains("with id 512 and ") && line.contains("expected ids below 512"), "\(line)")

    let added = try folder.write("more.json", Array(#"{"<image>": 512}"#.utf8))
    try copy(files: [("added_tokens.json", added)])
    (status, line) = try refusal("-q")
    #expect(status == 65)
    #expect(line.contains("token '<image>' with id 512, expected ids below 512"), "\(line)")
  }

  @Test(
    "--evaluate of a text model on a picture, or with a picture that is none, is refused at once")
  func evaluate() throws {
    try copy()
    var (status, line) = try refusal("--evaluate", TestFiles.fixture("pngsuite/basn2c08.png"))
    #expect(
      status == 64 && line.contains("found 1 picture, expected text or conversations"), "\(line)")
    let classifier = TestFiles.fixture("convnext-cifar10")
    let missing = try CommandRunner.convert(
      classifier, output, "-q", "--evaluate", folder.path("none.png"))
    #expect(missing.status == 66, "\(missing.errors)")
    #expect(!TestFiles.exists(output))
    let damaged = try folder.write("bad.png", Array("no picture".utf8))
    (status, line) = try {
      let outcome = try CommandRunner.convert(classifier, output, "-q", "--evaluate", damaged)
      return (outcome.status, outcome.errorLine)
    }()
    #expect(status == 65 && line.contains("bad.png"), "\(line)")
    #expect(!TestFiles.exists(output))
  }
}
