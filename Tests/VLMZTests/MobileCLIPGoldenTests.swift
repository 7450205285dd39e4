import Foundation
import Testing
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMZ

/// MobileCLIPs under Apple's own names against Apple's own code and open_clip;
/// `scripts/make-mobileclip-fixtures` made all of it.
struct MobileCLIPGoldenTests {
  static let folder = TestFiles.fixture("mobileclip")
  static let tolerance: Float = 1e-4

  private func expected(_ name: String) throws -> ExpectedTensor {
    try #require(
      try Expected("\(Self.folder)/expected.safetensors").tensor(name), "\(name)")
  }

  private func check(_ found: [Float], _ name: String) throws {
    let want = try expected(name)
    try #require(found.count == want.values.count, "\(name)")
    let difference = maxAbsDifference(found, want.values)
    #expect(difference <= Self.tolerance * want.scale, "\(name): differs by \(difference)")
  }

  /// The first lines and columns of the picture.
  private func pixels(side: Int) throws -> PixelTensor {
    let stored = try expected("pixel_values")
    let whole = PixelTensor(
      height: stored.shape[2], width: stored.shape[3], channelsFirst: stored.values)
    var values: [Float] = []
    for row in 0..<side {
      let start = row * whole.width * 3
      values += whole.values[start..<start + side * 3]
    }
    return PixelTensor(height: side, width: side, channels: 3, values: values)
  }

  private func texts() throws -> [[Int]] {
    let ids = try expected("text_ids")
    return (0..<ids.shape[0]).map { row in
      ids.values[row * ids.shape[1]..<(row + 1) * ids.shape[1]].map { Int($0) }
    }
  }

  private func session(
    _ name: String, _ scheme: Scheme, _ folder: TemporaryFolder
  ) throws -> (session: Session, config: CLIPConfig) {
    let session = try convertedSession("\(Self.folder)/\(name)", scheme, in: folder)
    return (session, try #require(session.description.config as? CLIPConfig))
  }

  @Test("pictures, texts and zero-shot are upstream's", arguments: ["s0", "s1", "b"])
  func agrees(_ name: String) throws {
    let folder = try TemporaryFolder()
    let (session, config) = try session(name, .f32, folder)
    #expect((config.imageTower is PlainViTConfig) == (name == "b"))
    #expect(config.textTower.isCausal == (name == "b"))
    #expect(config.textTower.encoder.layers == 2)
    let kernel = config.textTower.convolution?.kernel
    #expect(kernel == (name == "s0" ? 11 : nil))
    let picture = try pixels(side: name == "b" ? 48 : 96)
    let image = try #require(try session.run([picture]).first).embedding
    try check(image, "\(name).image_embedding")
    let rows = try texts()
    let embeddings = try session.embed(texts: rows)
    try check(embeddings.flatMap { $0 }, "\(name).text_embedding")
    // The same without the zeros behind the end.
    let short = rows.map { Array($0[...($0.firstIndex(of: 49) ?? 0)]) }
    try check(try session.embed(texts: short).flatMap { $0 }, "\(name).text_embedding")

    // The scale is e to the stored 2.5.
    let powers = embeddings.map { text in
      exp(exp(2.5) * zip(image, text).reduce(0) { $0 + Double($1.0 * $1.1) })
    }
    let total = powers.reduce(0, +)
    try check(powers.map { Float($0 / total) }, "\(name).scores")
    let read = try ModelDescription(json: session.description.json)
    #expect(read == session.description)
  }

  @Test("8 and 4 bits stay near", arguments: ["s0", "b"], [Scheme.q8, .q4])
  func quantized(_ name: String, _ scheme: Scheme) throws {
    let folder = try TemporaryFolder()
    let session = try session(name, scheme, folder).session
    let found = try session.embed(texts: try texts())
    let want = try expected("\(name).text_embedding").values
    let likeness = cosine(found.flatMap { $0 }, want)
    #expect(likeness >= (scheme == .q8 ? 0.99 : 0.9), "\(likeness)")
  }

  @Test("pictures are taken as ml-mobileclip takes them")
  func steps() throws {
    let source = try SourceModel.open(path: "\(Self.folder)/s0")
    guard
      case .processor(let steps, let origin) = source.description.config.assumedSteps(
        naming: "apple")
    else {
      Issue.record("no steps of its own")
      return
    }
    #expect(origin.contains("256"))
    #expect(steps["image_mean"] == [0.0, 0.0, 0.0])
    #expect(source.checkpoint.naming == "apple" && source.checkpoint.unexpected.isEmpty)
  }

  @Test("convolutions in other places, and damaged configurations, are refused")
  func refusals() throws {
    let source = try SourceModel.open(path: "\(Self.folder)/s0")
    let config = try #require(source.description.config as? CLIPConfig).textTower
    #expect(try TextTowerConfig(json: config.json) == config)
    for (key, value) in [("kernel", 4), ("kernel", 0), ("hidden", 0)] {
      var object = try #require(config.json.objectValue)
      var inner = try #require(object["convolution"]?.objectValue)
      inner.set(key, .int(value))
      object.set("convolution", .object(inner))
      let json = JSONValue.object(object)
      #expect(throws: ModelError.self) { try TextTowerConfig(json: json) }
    }
    var causal = config
    causal.isCausal = true
    #expect(thrownError(ModelError.self) { try causal.validate() } != nil)
    // A block in the middle.
    let names = source.checkpoint.tensors.values.flatMap(\.stored)
    let moved = Set(names).map { name in
      CheckpointFacts.Name(
        name.hasPrefix("text_encoder.transformer.0.")
          ? "text_encoder.transformer.1." + name.dropFirst(27) : name, [4])
    }
    let refused = thrownError(ModelError.self) {
      try ModelCheckpoint.recognise(CheckpointFacts(names: moved))
    }
    #expect(refused?.description.contains("in the first and the last") ?? false)
  }
}
