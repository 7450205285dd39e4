import Testing
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// The files that `scripts/make-smolvlm-fixtures` made.
enum SmolVLMFixture {
  static func path(_ name: String) -> String { TestFiles.fixture("smolvlm/" + name) }
  static func expected() throws -> Expected { try Expected(path("expected.safetensors")) }

  static func picture(_ name: String) throws -> VLMImages.Image {
    try ImageDecoder.decode(path: path("pictures/\(name).png"), policy: .pillow)
  }

  /// The tiles of an expected picture as 8-bit images.
  static func tiles(_ name: String) throws -> [VLMImages.Image] {
    let tensor = try #require(try expected().tensor(name), "\(name)")
    let (height, width) = (tensor.shape[2], tensor.shape[3])
    let area = height * width
    return (0..<tensor.shape[0]).map { tile in
      var pixels = [UInt8](repeating: 0, count: area * 3)
      for channel in 0..<3 {
        for place in 0..<area {
          pixels[place * 3 + channel] = UInt8(tensor.values[(tile * 3 + channel) * area + place])
        }
      }
      return VLMImages.Image(width: width, height: height, pixels: pixels)
    }
  }

  static func check(
    _ found: [Float]?, _ name: String, tolerance: Float = 1e-5
  ) throws {
    let want = try #require(try expected().tensor(name), "\(name)")
    let difference = maxAbsDifference(try #require(found, "\(name)"), want.values)
    #expect(difference <= tolerance * want.scale, "\(name): differs by \(difference)")
  }

  /// What `expected.json` says of a case.
  struct Case {
    let ids: [Int]
    let greedy: [Int]
    let prompt: String?

    init(_ name: String) throws {
      let json = try TestFiles.json(path("expected.json"))
      let entry = try #require(json[name], "\(name)")
      ids = (entry["input_ids"]?.arrayValue ?? []).compactMap(\.intValue)
      greedy = (entry["greedy"]?.arrayValue ?? []).compactMap(\.intValue)
      prompt = entry["prompt"]?.stringValue
      #expect(!ids.isEmpty && !greedy.isEmpty)
    }
  }

  /// The steps of a case, which differ from those of the files.
  static func steps(_ own: Preprocessing, _ kind: String) throws -> Preprocessing {
    guard case .splitting(var splitting) = own.tiling else {
      throw ModelError(.configuration(field: "tiles", found: "none", expected: "image splitting"))
    }
    if kind == "larger" { splitting.longestEdge = 96 }
    if kind == "whole" { splitting.splits = false }
    var steps = own
    steps.tiling = .splitting(splitting)
    return steps
  }
}

extension LoadedModel {
  /// The ids of a question, a sentinel for each picture.
  func ids(_ question: String, pictures: Int) throws -> [Int] {
    let template = try TemplateChoice(model, language, arguments: JSONObject()).own().template
    let frame = try PromptFrame(model, template: template, contextLength: 4096)
    return try frame.ids(
      [.init(.user, try frame.placed(question, pictures: pictures))], system: nil,
      pictures: pictures)
  }

  /// The same as a processor has them: a token for each row of a picture.
  func expanded(_ ids: [Int], _ images: [VisualTokens]) throws -> [Int] {
    let image = try #require(tokenizer?.id(of: "<image>"))
    return try Splice(ids, sentinel: ImagePrompt.sentinel, images: images.map(\.runs)).pieces
      .flatMap { piece in
        switch piece {
        case .text(let ids): ids
        case .image(_, let rows): [Int](repeating: image, count: rows.count)
        }
      }
  }

  /// The logits behind a prompt.
  func logits(_ ids: [Int], _ images: [VisualTokens]) throws -> [Float]? {
    var logits: [Float]?
    try inspect(ids, images: images) { name, _, values in
      if name == "logits" { logits = values }
    }
    return logits
  }
}
