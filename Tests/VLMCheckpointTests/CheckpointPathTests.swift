import Foundation
import Testing
import VLMCheckpoint
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Paths that are not a checkpoint, or more than one.
struct CheckpointPathTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func write(_ name: String, _ tensors: [String] = ["w"]) throws {
    let path = folder.path(name)
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try SafetensorsWriter.write(
      path: path, overwrite: true, tensors: tensors.map { .init(name: $0, shape: [1], floats: [1]) }
    )
  }

  private func text(_ name: String, _ text: String) throws {
    let path = folder.path(name)
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }

  private func error(_ path: String) -> CheckpointError? {
    thrownError(CheckpointError.self) { try Checkpoint.read(path: path) }
  }

  private func problem(_ name: String = "") -> CheckpointError.Problem? {
    error(name.isEmpty ? folder.url.path : folder.path(name))?.problem
  }

  @Test(
    "what is on the internet is told how to download",
    arguments: [
      ("facebook/convnext-tiny-224", "hf download facebook/convnext-tiny-224 --local-dir "),
      ("hf://org/name", "hf download org/name --local-dir name"),
      ("hf-hub:timm/convnext_atto.d2_in1k", "hf download timm/convnext_atto.d2_in1k --local-dir"),
      ("https://huggingface.co/org/name", "hf download org/name --local-dir name"),
      ("https://huggingface.co/org/name/tree/main", "hf download org/name --local-dir name"),
      (
        "https://huggingface.co/org/name/resolve/main/a/b.safetensors?download=true",
        "hf download org/name a/b.safetensors --local-dir name"
      ),
      ("https://example.org/model.pth", "curl -LO https://example.org/model.pth"),
      ("https://example.org/a b'c", #"curl -LO 'https://example.org/a b'\''c'"#),
    ])
  func download(path: String, command: String) {
    #expect(CheckpointPath.download(path)?.hasPrefix(command) == true)
    #expect(error(path)?.description.contains(command) == true)
    #expect(error(path)?.exitStatus == .noInput)
  }

  @Test("a path that can only be a file is missing, and no more is said")
  func absent() {
    for path in [
      "model.safetensors", "/nowhere/model", "a/b/c", "Tests/missing", "-a/b", "a/../b", "s3://a/b",
    ] {
      #expect(error(path)?.problem == .absent(download: nil), "\(path)")
    }
    #expect(error("nothing")?.description == "nothing: no such file or folder")
  }

  @Test("the root of a download cache is the snapshot that refs/main names")
  func cache() throws {
    try write("models--a--b/snapshots/abc/model.safetensors", ["new"])
    try write("models--a--b/snapshots/def/model.safetensors", ["old"])
    try text("models--a--b/refs/main", "abc\n")
    for path in ["models--a--b", "models--a--b/"] {
      let catalog = try Checkpoint.read(path: folder.path(path))
      #expect(catalog.tensors.map(\.name) == ["new"])
      #expect(catalog.warnings == ["reading the snapshot abc, which refs/main names"])
    }
    try FileManager.default.removeItem(atPath: folder.path("models--a--b/refs/main"))
    #expect(problem("models--a--b") == .severalSnapshots(["snapshots/abc", "snapshots/def"]))
    for revision in ["../../elsewhere", "gone", ""] {
      try text("models--a--b/refs/main", revision)
      #expect(problem("models--a--b") == .severalSnapshots(["snapshots/abc", "snapshots/def"]))
    }
    try FileManager.default.removeItem(atPath: folder.path("models--a--b/snapshots/def"))
    let only = try Checkpoint.read(path: folder.path("models--a--b"))
    #expect(only.warnings == ["reading the snapshot abc, the only one"])
    try text("models--a--b/refs/main", "gone")
    let other = try Checkpoint.read(path: folder.path("models--a--b"))
    #expect(
      other.warnings == [
        "reading the snapshot abc, the only one; refs/main names another, which is not there"
      ])
  }

  @Test("a trainer's folder names its newest checkpoint, any other the folders with weights")
  func inner() throws {
    for step in [1500, 500, 1000] { try write("out/checkpoint-\(step)/model.safetensors") }
    try text("out/trainer_state.json", "{}")
    let newest = folder.path("out/checkpoint-1500")
    #expect(
      problem("out")
        == .innerFolders(["checkpoint-1000", "checkpoint-1500", "checkpoint-500"], ready: newest))
    #expect(error(folder.path("out"))?.description.hasSuffix("name one of them: \(newest)") == true)
    try write("all/b/x.pth")
    try write("all/a/pytorch_model.bin")
    try text("all/c/readme", "x")
    #expect(problem("all") == .innerFolders(["a", "b"], ready: folder.path("all/a")))
  }

  @Test("one file is read before an index, as transformers does, and said")
  func single() throws {
    try write("model.safetensors", ["one"])
    try write("model-00001-of-00001.safetensors", ["parts"])
    try text(
      "model.safetensors.index.json",
      #"{"weight_map": {"parts": "model-00001-of-00001.safetensors"}}"#)
    let catalog = try Checkpoint.read(path: folder.url.path)
    #expect(catalog.tensors.map(\.name) == ["one"])
    #expect(
      catalog.warnings == [
        Note(
          "the folder has 'model.safetensors' and 'model.safetensors.index.json': reading "
            + "'model.safetensors', as transformers does")
      ])
    try FileManager.default.removeItem(atPath: folder.path("model.safetensors"))
    let parts = try Checkpoint.read(path: folder.url.path)
    #expect(parts.tensors.map(\.name) == ["parts"] && parts.warnings.isEmpty)
    try FileManager.default.removeItem(atPath: folder.path("model-00001-of-00001.safetensors"))
    #expect(problem() == .missingShards(["model-00001-of-00001.safetensors"]))
  }

  @Test("downloads that did not end are told")
  func unfinished() throws {
    try text(".cache/huggingface/download/abc.incomplete", "")
    #expect(problem() == .unfinished("abc.incomplete"))
    try text("model.safetensors.part", "")
    #expect(problem() == .unfinished("model.safetensors.part"))
    try write("model.safetensors")
    #expect(problem() == nil)
    try text("model.safetensors.aria2", "")
    #expect(problem() == .unfinished(folder.path("model.safetensors.aria2")))
    try FileManager.default.removeItem(atPath: folder.path("model.safetensors"))
    symlink("../blobs/gone", folder.path("model.safetensors"))
    #expect(problem() == .brokenLink)
    #expect(problem("model.safetensors") == .brokenLink)
  }

  @Test(
    "what a server answered instead of a file is told as that",
    arguments: [
      "Entry not found", "Invalid username or password.", "Repository not found\n",
      "Access to model meta-llama/Llama-2-7b is restricted and you are not in the list.",
      #"{"error":"Repository not found"}"#,
    ])
  func answers(answer: String) throws {
    for name in ["model.safetensors", "pytorch_model.bin"] {
      try text(name, answer)
      guard case .otherKind(let kind)? = problem(name) else {
        Issue.record("\(String(describing: problem(name)))")
        return
      }
      #expect(kind.name.hasPrefix("the text \""))
      #expect(kind.name.contains("a server's answer instead of the file") && kind.isStandIn)
      #expect(kind.step?.hasPrefix("download it again") == true)
    }
    try text("x.safetensors.index.json", answer)
    #expect(error(folder.path("x.safetensors.index.json"))?.description.contains("this is") == true)
  }

  @Test("other texts and pointers are told by their beginning")
  func texts() throws {
    let cases = [
      ("some words\nmore", "the text \"some words\""), ("<html><body>", "an HTML page"),
      (
        "version https://git-lfs.github.com/spec/v1\noid",
        "a Git LFS pointer; fetch the file itself first: git lfs pull"
      ), ("# xet version 0\n", "a Xet pointer; fetch the file itself first: hf download"),
    ]
    for (content, kind) in cases {
      try text("model.safetensors", content)
      let parts = kind.split(separator: ";", maxSplits: 1).map { String($0) }
      let step = parts.count > 1 ? parts[1].drop { $0 == " " } : nil
      guard case .otherKind(let found)? = problem() else {
        Issue.record("\(kind): \(String(describing: problem()))")
        continue
      }
      #expect(found.name == parts[0])
      #expect(step == nil || found.step == step.map { String($0) })
    }
    try text("model.safetensors", "")
    #expect(problem() == .empty)
  }

  @Test("a state of a safetensors file is what its names begin with")
  func state() throws {
    try write("model.safetensors", ["net.a.w", "net.b", "network.w", "loss"])
    func read(_ state: String) throws -> [String] {
      try Checkpoint.read(
        path: folder.url.path, options: .init(state: .named(state))
      ).tensors.map(\.name)
    }
    #expect(try Set(read("net")) == ["a.w", "b"])
    #expect(try read("net.a") == ["w"])
    let error = thrownError(CheckpointError.self) { try read("ema") }
    #expect(error?.problem == .noSuchState("ema", choices: ["net", "network"]))
  }

  @Test("a checkpoint where a container is expected is told how to convert")
  func unconverted() throws {
    try write("my model.safetensors")
    let path = folder.path("my model.safetensors")
    #expect(
      CheckpointPath.refusalAsContainer(path)?.problem
        == .unconverted(output: "my model.vlmz"))
    #expect(
      CheckpointPath.refusalAsContainer(folder.url.path)?.problem
        == .unconverted(output: "\(folder.url.lastPathComponent).vlmz"))
    try text("x.vlmz", "VLMZ")
    #expect(CheckpointPath.refusalAsContainer(folder.path("x.vlmz")) == nil)
    #expect(CheckpointPath.refusalAsContainer("no-one/no-model")?.exitStatus == .noInput)
  }
}
