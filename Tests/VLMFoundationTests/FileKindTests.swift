import Testing
import VLMFoundation

/// What files of other kinds are called, and what is said to do about them.
@Suite("Kinds of files")
struct FileKindTests {
  private func sniff(_ bytes: [UInt8]) -> FileKind? { bytes.withUnsafeBytes { FileKind.sniff($0) } }

  private static let rest = [UInt8](repeating: 0xb5, count: 64)

  /// Bytes, then a text, then bytes that are no text.
  private static func file(_ start: [UInt8], _ text: String = "") -> [UInt8] {
    var bytes = start
    bytes.append(contentsOf: text.utf8)
    bytes.append(contentsOf: rest)
    return bytes
  }

  static let models: [(bytes: [UInt8], name: String)] = [
    // What the tools of each write first.
    (file([0x08, 0x08, 0x12, 0x07], "pytorch"), "an ONNX model"),
    (file([0x08, 0x0a, 0x3a, 0x80, 0x10]), "an ONNX model"),
    (file([0x08, 0x05, 0x12, 0x20, 0x0a, 0x05], "input"), "a Core ML model"),
    (file([0x08, 0x08, 0x12, 0xa0, 0x02, 0x0a, 0x05], "input"), "a Core ML model"),
    (file([], "program(1.0)\n[buildInfo"), "a Core ML program"),
    (file([0x1c, 0, 0, 0], "TFL3"), "a TensorFlow Lite model"),
    (file([0x1c, 0, 0, 0], "ET12"), "an ExecuTorch program"),
    (file([], "ftrt"), "a TensorRT engine"),
    (file([], "ptrt"), "a TensorRT engine"),
    (file([], "7767517\n75 83\n"), "an ncnn model"),
    (file([], "<?xml version=\"1.0\"?>\n<net name=\"m\" version=\"11\">"), "an OpenVINO model"),
    (file([], "lmgg"), "a GGML file, as llama.cpp had before GGUF"),
    (file([], "fmgg\u{1}\0\0\0"), "a GGMF file, as llama.cpp had before GGUF"),
    (file([], "tjgg\u{3}\0\0\0"), "a GGJT file, as llama.cpp had before GGUF"),
    (file([], "algg\u{1}\0\0\0"), "an adapter of llama.cpp (GGLA)"),
    (file([0x89], "HDF\r\n\u{1a}\n"), "an HDF5 file"),
    (file([0x81, 0xa6], "params"), "a MessagePack file (a Flax checkpoint?)"),
  ]

  @Test("models in other forms are told by their content, with the next step", arguments: models)
  func otherModels(bytes: [UInt8], name: String) {
    let found = sniff(bytes)
    #expect(found?.name == name)
    #expect(found?.step?.isEmpty == false)
    #expect(found?.isStandIn == false)
    #expect(
      found.map { $0.instead(of: "a model") } == "\(name), expected a model; \(found?.step ?? "")")
  }

  @Test("an XML text and a JSON text are no models, and have no step")
  func texts() {
    #expect(sniff(Array("<?xml version=\"1.0\"?>\n<svg/>".utf8)) == FileKind("an XML text"))
    #expect(sniff(Array("{\"a\": 1}".utf8)) == .json)
    #expect(sniff(Self.file([0x08, 0x01, 0x1a, 0x02])) == nil)
    #expect(sniff(Self.rest) == nil)
  }

  static let standIns: [(text: String, name: String, step: String)] = [
    (
      "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer",
      "git lfs pull"
    ),
    ("# xet version 0\nfilesize = 1\n", "a Xet pointer", "hf download"),
    ("<!DOCTYPE html>\n<html></html>", "an HTML page", "download it again"),
    ("{\"error\":\"Entry not found\"}", "a server's answer", "download it again"),
    ("{ \"error\" : \"Repository not found\" }\n", "a server's answer", "download it again"),
    ("{\n  \"Error\": \"Invalid token\"\n}", "a server's answer", "download it again"),
    ("Entry not found", "a server's answer", "download it again"),
    ("404: Not Found", "a server's answer", "download it again"),
    ("{\"error\":{\"code\":403},\"status\":403}", "a server's answer", "download it again"),
    (String(repeating: "\0", count: 100), "zeros", "download it again"),
    ("", "an empty file", "download it again"),
  ]

  @Test("what stands where a file was not fetched is told from texts", arguments: standIns)
  func unfetched(text: String, name: String, step: String) throws {
    let bytes = Array(text.utf8)
    let found = try #require(bytes.withUnsafeBytes { FileKind.standIn($0) })
    #expect(found.name.contains(name) && found.isStandIn)
    #expect(found.step?.contains(step) == true)
  }

  @Test(
    "texts that are what they should be are no stand-ins",
    arguments: [
      "{\"model_type\": \"vit\"}", "{}", "{\"errors\": 1}", "cat\ndog\n", "{{ messages }}", "\0\0",
      "a page not of HTML", "forbidden\nallowed\n", "The forbidden city was built in 1420.",
      "A word that is not found in this one.", "[\"not found\", \"cat\"]", "<html> tag\n<p> tag\n",
      "{\"error\": null, \"model_type\": \"vit\"}", "{\"error\": 0, \"cat\": 1}",
      "{\"error\": \"\", \"messages\": []}", "{\"error\": \"none\", \"model_type\": \"vit\"}",
      "{\"error\": \"a\"}\n{\"error\": \"b\"}\n", "root ::= \"yes\" | \"not found\"",
      "Forbidden. " + String(repeating: "A long text. ", count: 60),
      "version https://git-lfs is how a pointer begins. "
        + String(repeating: "A long text. ", count: 100),
    ])
  func right(text: String) {
    let bytes = Array(text.utf8)
    #expect(bytes.withUnsafeBytes { FileKind.standIn($0) } == nil)
  }
}
