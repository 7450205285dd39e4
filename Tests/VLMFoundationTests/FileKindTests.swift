import Testing
import VLMFoundation

/// What files of other kinds are called, and what is said to do about them.
@Suite("Kinds of files")
struct FileKindTests {
  private func sniff(_ bytes: [UInt8]) -> FileKind? { bytes.withUnsafeBytes { FileKind.sniff($0) } }

  private static let rest = [UInt8](repeating: 0xb5, count: 64)

  static let models: [(bytes: [UInt8], name: String)] = [
    // What the tools of each write first.
    ([0x08, 0x08, 0x12, 0x07] + Array("pytorch".utf8) + [0x1a, 5], "an ONNX model"),
    ([0x08, 0x0a, 0x3a, 0x80, 0x10] + rest, "an ONNX model"),
    ([0x08, 0x05, 0x12, 0x20, 0x0a, 0x05] + Array("input".utf8) + rest, "a Core ML model"),
    ([0x08, 0x08, 0x12, 0xa0, 0x02, 0x0a, 0x05] + Array("input".utf8), "a Core ML model"),
    (Array("program(1.0)\n[buildInfo".utf8), "a Core ML program"),
    ([0x1c, 0, 0, 0] + Array("TFL3".utf8) + rest, "a TensorFlow Lite model"),
    ([0x1c, 0, 0, 0] + Array("ET12".utf8) + rest, "an ExecuTorch program"),
    (Array("ftrt".utf8) + rest, "a TensorRT engine"),
    (Array("ptrt".utf8) + rest, "a TensorRT engine"),
    (Array("7767517\n75 83\n".utf8), "an ncnn model"),
    (Array("<?xml version=\"1.0\"?>\n<net name=\"m\" version=\"11\">".utf8), "an OpenVINO model"),
    (Array("lmgg".utf8) + rest, "a GGML file, as llama.cpp had before GGUF"),
    (Array("fmgg".utf8) + [1, 0, 0, 0] + rest, "a GGMF file, as llama.cpp had before GGUF"),
    (Array("tjgg".utf8) + [3, 0, 0, 0] + rest, "a GGJT file, as llama.cpp had before GGUF"),
    (Array("algg".utf8) + [1, 0, 0, 0] + rest, "an adapter of llama.cpp (GGLA)"),
    ([0x89] + Array("HDF\r\n".utf8) + [0x1a, 0x0a], "an HDF5 file"),
    ([0x81, 0xa6] + Array("params".utf8), "a MessagePack file (a Flax checkpoint?)"),
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
    #expect(sniff([0x08, 0x01, 0x1a, 0x02] + Self.rest) == nil)
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
      "a page not of HTML", "forbidden\nallowed\n",
    ])
  func right(text: String) {
    let bytes = Array(text.utf8)
    #expect(bytes.withUnsafeBytes { FileKind.standIn($0) } == nil)
  }
}
