import Foundation
import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

/// Labels for a CLIP that was made with its tokenizer for these tests: right values are transformers'.
@Suite("Labels", .serialized)
struct LabelTests {
  let fixture: BatchFixture
  let model: String

  init() throws {
    fixture = try BatchFixture()
    model = try fixture.model(BatchFixture.zeroShot, "--f32")
  }

  private static let picture = BatchFixture.zeroShot + "/picture.png"

  private func probabilities(_ arguments: [String]) throws -> [(String, Double)] {
    let outcome = try fixture.run(model, [Self.picture, "--jsonl", "-q"] + arguments)
    let top = try outcome.objects.first?["top"]?.arrayValue ?? []
    return top.sorted { ($0["index"]?.intValue ?? 0) < ($1["index"]?.intValue ?? 0) }.map {
      ($0["label"]?.stringValue ?? "", $0["probability"]?.doubleValue ?? -1)
    }
  }

  @Test("labels and templates give transformers' probabilities, of several as open_clip's means")
  func values() throws {
    let cases = try #require(
      try TestFiles.json(BatchFixture.zeroShot + "/expected.json")["cases"]?.arrayValue)
    #expect(cases.count == 3)
    for one in cases {
      func texts(_ key: String) -> [String] {
        (one[key]?.arrayValue ?? []).compactMap(\.stringValue)
      }
      let expected = (one["probabilities"]?.arrayValue ?? []).compactMap(\.doubleValue)
      let found = try probabilities(
        texts("labels").flatMap { ["--label", $0] }
          + texts("templates").flatMap { ["--label-template", $0] })
      #expect(found.map(\.0) == texts("labels"))
      for (a, b) in zip(found, expected) { #expect(abs(a.1 - b) < 1e-4, "\(a.0)") }
      #expect(found.count == expected.count)
    }
  }

  @Test("--labels given twice adds, and goes with --label and files in all their forms")
  func sources() throws {
    let together = try probabilities(["--labels", "a cat,a dog"])
    let apart = try probabilities(["--labels", "a cat", "--labels", "a dog"])
    #expect(together.map(\.0) == ["a cat", "a dog"])
    #expect(apart.map(\.0) == together.map(\.0) && apart.map(\.1) == together.map(\.1))
    let comma = "a cat, sitting"
    let forms: [(String, String)] = [
      ("lines.txt", "\(comma)\na dog\n"), ("dos.txt", "\u{feff}\(comma)\r\na dog\r\n"),
      ("list.json", #"["a cat, sitting", "a dog"]"#),
    ]
    for (name, text) in forms {
      let file = try fixture.folder.write(name, Array(text.utf8))
      #expect(try probabilities(["--labels-file", file]).map(\.0) == [comma, "a dog"], "\(name)")
    }
    let file = try fixture.folder.write("more.txt", Array("the dog\n".utf8))
    let all = try probabilities(
      ["--labels-file", file, "--label", comma, "--labels", "a cat", "--label-template", "the {}"])
    #expect(all.map(\.0) == ["a cat", comma, "the dog"])
    let dashed = ["--", "---", "--- a=b", "-h", "--json"]
    #expect(try probabilities(dashed.flatMap { ["--label", $0] }).map(\.0) == dashed)
    #expect(try probabilities(["--labels", "--a,b"]).map(\.0) == ["--a", "b"])
  }

  @Test("a file where a label is expected, templates without a place and empty texts are refused")
  func refused() throws {
    let file = try fixture.folder.write("names.txt", Array("a cat\n".utf8))
    let outcome = try fixture.run(model, [Self.picture, "--labels", file], status: 64)
    #expect(outcome.errors.contains("a file; its texts are taken with --labels-file \(file)"))
    let plain = try fixture.run(
      model, [Self.picture, "--labels", "a,b", "--label-template", "a photo"], status: 64)
    #expect(plain.errors.contains("--label-template: found 'a photo', expected a text with {}"))
    for arguments in [
      ["--label-template", "a {}"], ["--labels", "a,,b"], ["--label", " "],
      ["--label", "a", "--scores", "raw"],
    ] {
      _ = try fixture.run(model, [Self.picture] + arguments, status: 64)
    }
    let latin = try fixture.folder.write("latin.txt", [0x47, 0x72, 0xfc, 0x6e])
    let bytes = try fixture.run(model, [Self.picture, "--labels-file", latin], status: 65)
    #expect(bytes.errorLine.hasPrefix("vlm-run: \(latin): names of classes: found bytes"))
    _ = try fixture.run(model, [Self.picture, "--labels-file", "/nonexistent.txt"], status: 66)
  }

  @Test("a text that the tower cuts, and one given twice, are told")
  func told() throws {
    let long = String(repeating: "dog ", count: 40)
    let cut = try fixture.run(model, [Self.picture, "--label", long, "--label", "a"])
    #expect(cut.errors.contains("labels: a text is longer than the text tower reads and cut"))
    let twice = try fixture.run(model, [Self.picture, "--labels", "a,b,a"])
    #expect(twice.errors.contains("labels: 'a' is given twice"))
  }

  @Test("--embed of labels has their rows and names, with pictures or without")
  func embeddings() throws {
    let expected = try TestFiles.json(BatchFixture.zeroShot + "/expected.json")
    let rows = fixture.folder.path("texts.npy")
    _ = try fixture.run(model, ["--labels", "a cat,a dog", "--embed", rows, "-q"])
    let (header, values) = numpy(try fixture.folder.read("texts.npy"))
    #expect(header.contains("(2, 10)"))
    let first = (expected["cases"]?.arrayValue?.first?["first_text"]?.arrayValue ?? [])
      .compactMap(\.doubleValue).map { Float($0) }
    #expect(maxAbsDifference(Array(values.prefix(10)), first) < 1e-4)
    let json = try JSONValue.parse(try fixture.folder.read("texts.json"))["rows"]?.arrayValue
    #expect(json?.map { $0["label"]?.stringValue } == ["a cat", "a dog"])
    let both = fixture.folder.path("both.safetensors")
    _ = try fixture.run(model, [Self.picture, "--labels", "a cat,a dog", "--embed", both, "-q"])
    let written = try Expected(both)
    #expect(written.tensor("embedding")?.shape == [1, 10])
    #expect(written.tensor("text_embedding")?.shape == [2, 10])
    let text = String(decoding: try fixture.folder.read("both.safetensors"), as: UTF8.self)
    #expect(text.contains(#""labels":"[\"a cat\",\"a dog\"]""#))
  }
}
