import Foundation
import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Many pictures in one call: none is lost, and what fails has its place.
@Suite("Batches of pictures", .serialized)
struct BatchTests {
  let fixture: BatchFixture

  init() throws { fixture = try BatchFixture() }

  private static let horse = BatchFixture.horse
  private static let rocket = BatchFixture.rocket

  @Test("a picture that fails has an object in its place, alone too")
  func failures() throws {
    let model = try fixture.classifier()
    let damaged = try fixture.damaged()
    let missing = fixture.folder.path("missing.png")
    let names = [Self.horse, damaged, Self.rocket, missing, Self.horse]
    let lines = try fixture.run(model, names + ["--jsonl", "-q"], status: 65)
    let array = try fixture.run(model, names + ["--json", "-q"], status: 65)
    #expect(lines.errors == "" && array.errors == "")
    let all = try JSONValue.parse(Array(array.output.utf8)).arrayValue ?? []
    for objects in [try lines.objects, all] {
      #expect(objects.map { $0["image"]?.stringValue } == names)
      #expect(objects.map { $0["error"]?["status"]?.intValue } == [nil, 65, nil, 66, nil])
      #expect(objects.allSatisfy { $0["schema"]?.intValue == 1 })
      #expect(objects[1]["error"]?["message"]?.stringValue?.hasPrefix(damaged) ?? false)
      #expect(objects[0]["top"]?.arrayValue?[0]["label"]?.stringValue == "horse")
    }
    let alone = try fixture.run(model, [missing, "--jsonl"], status: 66)
    #expect(alone.errors == "")
    #expect(try alone.objects.first?["error"]?["status"]?.intValue == 66)
    // The first failure's status, and a line for each where nobody reads objects.
    let text = try fixture.run(model, [missing, damaged, Self.horse, "-q"], status: 66)
    #expect(text.errors.split(separator: "\n").count == 2)
    #expect(text.output.hasPrefix(Self.horse + "  ("))
  }

  @Test("--embed has a row per picture, NaN where one failed, and the names beside them")
  func embeddings() throws {
    let model = try fixture.classifier()
    let damaged = try fixture.damaged()
    let names = [Self.horse, damaged, Self.rocket]
    let file = fixture.folder.path("e.npy")
    _ = try fixture.run(model, names + ["--embed", file, "-q", "--jsonl"], status: 65)
    let (header, values) = numpy(try fixture.folder.read("e.npy"))
    #expect(header.contains("'shape': (3, 256)"))
    #expect(values[256..<512].allSatisfy { $0.isNaN })
    #expect((values[..<256] + values[512...]).allSatisfy { $0.isFinite })
    let json = try JSONValue.parse(try fixture.folder.read("e.json"))
    let rows = try #require(json["rows"]?.arrayValue)
    #expect(json["schema"]?.intValue == 1)
    #expect(rows.map { $0["image"]?.stringValue } == names)
    #expect(rows.map { $0["error"]?.isNull } == [true, false, true])
    // The rows are those of the pictures alone.
    let alone = fixture.folder.path("alone.npy")
    _ = try fixture.run(model, [Self.rocket, "--embed", alone, "-q"])
    let single = numpy(try fixture.folder.read("alone.npy")).values
    #expect(maxAbsDifference(single, Array(values[512...])) < 1e-5)

    let tensors = fixture.folder.path("e.safetensors")
    _ = try fixture.run(model, names + ["--embed", tensors, "-q"], status: 65)
    let text = String(decoding: try fixture.folder.read("e.safetensors"), as: UTF8.self)
    for name in names { #expect(text.contains("\\\"\(name)\\\"")) }
    #expect(text.contains(#""errors":"[null,\""#))
    #expect(try Expected(tensors).tensor("embedding")?.shape == [3, 256])
  }

  @Test("where every picture failed the rows are as wide as the model's")
  func nothingWorked() throws {
    let model = try fixture.classifier()
    let damaged = try fixture.damaged()
    let file = fixture.folder.path("e.npy")
    _ = try fixture.run(model, [damaged, "--embed", file, "-q"], status: 65)
    let (header, values) = numpy(try fixture.folder.read("e.npy"))
    #expect(header.contains("'shape': (1, 256)"))
    #expect(values.allSatisfy { $0.isNaN })
  }

  @Test("the file of names is replaced with --force only, and never another's")
  func names() throws {
    let model = try fixture.classifier()
    let file = fixture.folder.path("e.npy")
    let command = [Self.horse, "--embed", file, "-q"]
    _ = try fixture.run(model, command)
    try FileManager.default.removeItem(atPath: file)
    #expect(try fixture.run(model, command, status: 73).errors.contains("e.json: already exists"))
    _ = try fixture.run(model, command + ["--force"])
    try fixture.folder.write("e.json", Array(#"{"mine": true}"#.utf8))
    let kept = try fixture.run(model, command + ["--force"], status: 73)
    #expect(kept.errors.contains("e.json: is where the names of the rows go"))
    #expect(try fixture.folder.read("e.json") == Array(#"{"mine": true}"#.utf8))
  }

  @Test("a LLaVA has a row per visual token and one for a picture that failed")
  func visualTokens() throws {
    let model = try fixture.llava()
    let damaged = try fixture.damaged()
    let file = fixture.folder.path("e.npy")
    let names = [BatchFixture.cup, damaged, BatchFixture.cat]
    let outcome = try fixture.run(
      model, names + ["--embed", file, "--jsonl"], status: 65)
    #expect(try outcome.objects.map { $0["visual_tokens"]?.intValue } == [36, nil, 36])
    let (header, values) = numpy(try fixture.folder.read("e.npy"))
    #expect(header.contains("'shape': (73, "))
    let width = values.count / 73
    #expect(values[36 * width..<37 * width].allSatisfy { $0.isNaN })
    #expect(values.count { $0.isNaN } == width)
    let rows = try JSONValue.parse(try fixture.folder.read("e.json"))["rows"]?.arrayValue ?? []
    #expect(rows.count == 73)
    #expect(rows[37]["image"]?.stringValue == BatchFixture.cat)
    #expect(rows[37]["token"]?.intValue == 0)
    #expect(rows[36]["error"]?.stringValue?.contains("damaged") ?? false)
  }

  @Test("a folder is refused with the option that takes its pictures")
  func folder() throws {
    let model = try fixture.classifier()
    let outcome = try fixture.run(model, [fixture.folder.url.path, Self.horse, "-q"], status: 66)
    #expect(outcome.errorLine.hasSuffix("; --recursive takes the pictures in it"))
    #expect(outcome.output.hasPrefix(Self.horse))
  }

  @Test("--recursive takes pictures by their names or first bytes, and no folder twice")
  func recursive() throws {
    let model = try fixture.classifier()
    let manager = FileManager.default
    let root = fixture.folder.path("photos")
    for inner in ["b", ".hidden", "empty", "n"] {
      try manager.createDirectory(atPath: root + "/" + inner, withIntermediateDirectories: true)
    }
    for name in ["b/z.PNG", "b/a.jpg", "c.png", ".hidden/x.png", ".y.png", "n/noname", "d.jpeg"] {
      try manager.copyItem(atPath: Self.horse, toPath: root + "/" + name)
    }
    for name in ["notes.txt", "b/list.csv"] {
      try Data("x".utf8).write(to: URL(fileURLWithPath: root + "/" + name))
    }
    try manager.createSymbolicLink(atPath: root + "/b/loop", withDestinationPath: root)
    try manager.createSymbolicLink(atPath: root + "/e.png", withDestinationPath: "/nonexistent")
    let outcome = try fixture.run(model, [root, "-r", "--jsonl"], status: 66)
    let names = try outcome.objects.map { $0["image"]?.stringValue }
    let expected = ["b/a.jpg", "b/z.PNG", "c.png", "d.jpeg", "e.png", "n/noname"]
    #expect(names == expected.map { root + "/" + $0 })
    #expect(outcome.errors.contains("2 files that are no pictures left out"))
    let empty = try fixture.run(model, [root + "/empty", "-r", "-q"], status: 66)
    #expect(empty.errorLine.contains("empty: found no pictures in the directory"))
  }

  @Test("a list with zero bytes is not taken for one of lines, and a file is not taken for options")
  func misreadNames() throws {
    let model = try fixture.classifier()
    let list = "\(Self.horse)\0\(Self.rocket)\0"
    let outcome = try fixture.run(model, ["--files-from", "-"], input: list, status: 64)
    #expect(outcome.output.isEmpty)
    #expect(outcome.errorLine.hasSuffix("a list with one behind each name is read with -0"))
    let folder = fixture.folder.path("dashes")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: Self.horse, toPath: folder + "/-horse.png")
    let command = try RunningCommand(
      "vlm-run", [model, "-horse.png"], prelude: "cd '\(folder)'")
    let dashed = try command.finish()
    #expect(dashed.status == 64)
    let line = "vlm-run: '-horse.png' is a file, and reads as options; ./-horse.png names it\n"
    #expect(dashed.errors == line)
  }

  @Test("--files-from takes names from a file or standard input, by lines or zero bytes")
  func lists() throws {
    let model = try fixture.classifier()
    let list = "\(Self.horse)\r\n\n\(Self.rocket)"
    let file = try fixture.folder.write("list.txt", Array(list.utf8))
    for (arguments, input) in [
      ([Self.rocket, "--files-from", file], nil), ([Self.rocket, "--files-from", "-"], list),
      ([Self.rocket, "--files-from", "-", "-0"], "\(Self.horse)\0\(Self.rocket)\0"),
    ] as [([String], String?)] {
      let outcome = try fixture.run(model, arguments + ["--jsonl", "-q"], input: input)
      let names = try outcome.objects.map { $0["image"]?.stringValue }
      #expect(names == [Self.rocket, Self.horse, Self.rocket])
    }
    let long = String(repeating: "x", count: 200_000)
    let odd = try fixture.run(
      model, ["--files-from", "-", "--jsonl"], input: "-\n\(long)\n\(Self.horse)\n", status: 64)
    #expect(try odd.objects.map { $0["error"]?["status"]?.intValue } == [64, 64, nil])
    _ = try fixture.run(model, ["--files-from", fixture.folder.path("none")], status: 66)
    _ = try fixture.run(model, ["-0", Self.horse], status: 64)
    _ = try fixture.run(model, ["-", "--files-from", "-"], status: 64)
  }

  @Test("a name that is read late gives its result before the next name is there")
  func listAsItComes() throws {
    let model = try fixture.classifier()
    let (input, output) = (Pipe(), Pipe())
    let process = Process()
    process.executableURL = CommandRunner.folder.appendingPathComponent("vlm-run")
    process.arguments = [model, "--files-from", "-", "--jsonl", "-q"]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    for name in [Self.horse, Self.rocket] {
      input.fileHandleForWriting.write(Data((name + "\n").utf8))
      // Waits for the answer, while the list goes on.
      let line = output.fileHandleForReading.availableData
      #expect(try JSONValue.parse(Array(line))["image"]?.stringValue == name)
    }
    try input.fileHandleForWriting.close()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
  }

  @Test("pictures one after the other on standard input have a record each, as they come")
  func stream() throws {
    let model = try fixture.classifier()
    let jpeg = try BatchFixture.bytes(Self.rocket)
    let half = Array(jpeg.prefix(jpeg.count / 2))
    let named = try fixture.run(model, [Self.rocket, "--jsonl"]).objects.first?["top"]
    let file = try fixture.folder.write("stream", jpeg + jpeg + half)
    let outcome = try CommandRunner.run(
      "vlm-run", [model, "-", "--jsonl", "--embed", fixture.folder.path("e.npy")],
      input: try Data(contentsOf: URL(fileURLWithPath: file)))
    #expect(outcome.status == 65)
    let objects = try outcome.objects
    #expect(objects.map { $0["image"]?.stringValue } == ["-", "-", "-"])
    #expect(objects.map { $0["frame"]?.intValue } == [1, 2, 3])
    #expect(objects.map { $0["error"]?["status"]?.intValue } == [nil, nil, 65])
    #expect(objects[0]["top"] == named)
    #expect(numpy(try fixture.folder.read("e.npy")).header.contains("(3, 256)"))
    let text = try CommandRunner.run("vlm-run", [model, "-"], input: Data(jpeg + jpeg))
    #expect(text.output.hasPrefix("-  ("))
    #expect(text.output.contains("\n- picture 2  ("))
  }

  @Test("bytes behind a picture are told, and end a stream of several")
  func otherBytes() throws {
    let model = try fixture.classifier()
    let jpeg = try BatchFixture.bytes(Self.rocket)
    let film =
      jpeg + [0, 0, 0, 0x18] + Array("ftypmp42".utf8) + [UInt8](repeating: 0xff, count: 99)
    let single = try CommandRunner.run("vlm-run", [model, "-", "--jsonl"], input: Data(film))
    #expect(single.status == 0)
    #expect(single.errors.contains("found other bytes behind 1 picture"))
    let several = try CommandRunner.run(
      "vlm-run", [model, "-", "--jsonl"], input: Data(jpeg + film))
    #expect(several.status == 65)
    #expect(try several.objects.last?["error"]?["status"]?.intValue == 65)
    let empty = try CommandRunner.run("vlm-run", [model, "-", "-q"], input: Data())
    #expect(empty.status == 65)
    #expect(empty.errors.contains("standard input: the file is empty"))
    let drawn = try CommandRunner.run(
      "vlm-run", [model, "-", "-q", "--dump", fixture.folder.path("d.safetensors")],
      input: Data(jpeg + jpeg))
    #expect(drawn.status == 64)
    #expect(drawn.errorLine.contains("found more than one picture, expected one"))
  }

  @Test("--dry-run with --json is JSON, with the pictures that fail")
  func dryRun() throws {
    let model = try fixture.classifier()
    let damaged = try fixture.damaged()
    let outcome = try fixture.run(
      model, [Self.horse, damaged, "--dry-run", "--json"], status: 65)
    let json = try JSONValue.parse(Array(outcome.output.utf8))
    #expect(json["model"]?.stringValue == "convnext")
    #expect(json["preprocessing"]?.objectValue != nil)
    let images = try #require(json["images"]?.arrayValue)
    #expect(images[0]["width"]?.intValue == 64)
    #expect(images[1]["error"]?["status"]?.intValue == 65)
    let language = try fixture.run(try fixture.language(), ["--dry-run", "--json"])
    let plan = try JSONValue.parse(Array(language.output.utf8))
    #expect(plan["context"]?.intValue == 512)
  }

  @Test("options without an effect on the model, and names with other endings, are refused by name")
  func idleOptions() throws {
    let image = try fixture.classifier()
    let ofAnswers = [
      ["-n", "5"], ["--temp", "0.5"], ["--top-k", "3"], ["--top-p", "0.5"], ["--min-p", "0.1"],
      ["--repeat-penalty", "1.1"], ["--seed", "1"], ["--stop", "x"], ["--system", "x"],
      ["--template", "none"], ["--template-args", "{}"], ["--special"], ["--no-special"],
      ["--kv", "f32"], ["--ctx", "9"], ["--keep-aspect"], ["--chat"], ["-p", "x"],
      ["-p", "x", "--each"],
    ]
    let long = ["-n": "--max-tokens", "-p": "--prompt"]
    for option in ofAnswers {
      let outcome = try fixture.run(image, [Self.horse] + option, status: 64)
      #expect(outcome.errors.contains(long[option[0]] ?? option[0]), "\(option)")
      #expect(outcome.errors.contains("no effect"), "\(option)")
    }
    for (option, name) in [("--dump", "x.npz"), ("--explain", "x.jpg"), ("--embed", "x.txt")] {
      let outcome = try fixture.run(image, [Self.horse, option, name], status: 64)
      #expect(outcome.errors.contains("\(option): found '\(name)', expected a name that ends in"))
    }
    _ = try fixture.run(
      image, [Self.horse, "--decode", "pillow", "--background", "black"], status: 64)
    let language = try fixture.language()
    for option in [
      ["--size", "32"], ["--decode", "pillow"], ["--background", "black"], ["--max-pixels", "9"],
      ["--keep-aspect"], ["-r"], ["--files-from", "x"], ["--each"], ["--top", "1"],
      ["--crop-pct", "1"], ["--scores", "raw"], ["--label", "a"],
    ] {
      let outcome = try fixture.run(language, ["-p", "x"] + option, status: 64)
      let name = option[0] == "-r" ? "--recursive" : option[0]
      #expect(outcome.errors.contains(name), "\(option)")
    }
    for option in ["--temp", "--top-k", "--top-p", "--min-p", "--repeat-penalty"] {
      let outcome = try fixture.run(language, ["-p", "x", option, "-1"], status: 64)
      #expect(outcome.errors.contains("vlm-run: \(option): found -1"), "\(outcome.errors)")
    }
    let whole = fixture.folder.path("siglip.vlmz")
    #expect(
      try CommandRunner.convert(TestFiles.fixture("siglip/vision"), whole, "-q").status == 0)
    let cropped = try fixture.run(whole, [Self.horse, "--crop-pct", "0.5"], status: 64)
    #expect(cropped.errors.contains("--crop-pct: no effect: the model sees pictures whole"))
    let llava = try fixture.llava()
    let look = [BatchFixture.cup, "--embed", fixture.folder.path("e.npy")]
    let asked = try fixture.run(llava, look + ["--temp", "1"], status: 64)
    #expect(asked.errors.contains("no effect of --temp"))
    #expect(try fixture.run(llava, look + ["--top", "1"], status: 64).errors.contains("--top"))
  }
}
