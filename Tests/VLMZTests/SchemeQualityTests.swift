import Testing
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

/// What the schemes may cost on a trained network, and that every instruction set computes the same.
struct SchemeQualityTests {
  static let checkpoint = TestFiles.fixture("convnext-cifar10")
  static let photo = TestFiles.root.appendingPathComponent("docs/images/horse.png").path

  /// Every named intermediate of the sample model on one photograph.
  private static func intermediates(
    _ scheme: Scheme, kernels: KernelSet? = nil, threads: Int = 2,
    wideElements: Int = ConvNeXtContext.defaultWideElements
  ) throws -> [String: [Float]] {
    let folder = try TemporaryFolder()
    let session = try convertedSession(
      checkpoint, scheme, in: folder, threads: threads, kernels: kernels,
      wideElements: wideElements)
    let pixels = try session.preprocessing.apply(
      try ImageDecoder.decode(path: photo), name: photo)
    var result: [String: [Float]] = [:]
    _ = try session.run([pixels]) { result[$0.name] = $0.planar.values }
    return result
  }

  @Test(
    "features and logits keep their direction",
    arguments: [
      (Scheme.f16, 0.99999), (.bf16, 0.9999), (.q8, 0.999), (.q6, 0.999), (.q5, 0.997), (.q4, 0.99),
      (.q3, 0.96),
    ])
  func cosines(_ scheme: Scheme, _ bound: Double) throws {
    let exact = try Self.intermediates(.f32)
    let stored = try Self.intermediates(scheme)
    for name in ["stage0", "stage1", "stage2", "stage3", "logits"] {
      let value = cosine(try #require(exact[name]), try #require(stored[name]))
      #expect(value >= bound, "\(name): cosine \(value)")
    }
  }

  @Test("every instruction set agrees with the scalar kernels", arguments: Scheme.allCases)
  func instructionSets(_ scheme: Scheme) throws {
    let scalar = try #require(KernelSet(named: "scalar"))
    let reference = try Self.intermediates(scheme, kernels: scalar)
    for kernels in KernelSet.all where kernels.name != "scalar" {
      let found = try Self.intermediates(scheme, kernels: kernels)
      for name in ["stem", "stage3", "logits"] {
        let expected = try #require(reference[name])
        let scale = expected.reduce(1) { max($0, abs($1)) }
        let difference = maxAbsDifference(try #require(found[name]), expected)
        // Rounding differs in the last bits; a quantized activation on the edge between two codes
        // then takes the other, which moves the sums by about a code's worth.
        let bound: Float = scheme.arithmetic == .int8 ? 2e-2 : 1e-4
        #expect(difference <= bound * scale, "\(kernels.name) \(name): differs by \(difference)")
      }
    }
  }

  @Test("the number of threads changes no bit", arguments: [Scheme.f32, .q8, .q4, .q3, .q5, .q6])
  func threads(_ scheme: Scheme) throws {
    let one = try Self.intermediates(scheme, threads: 1)
    let three = try Self.intermediates(scheme, threads: 3)
    for (name, values) in one {
      #expect(values.map(\.bitPattern) == three[name]?.map(\.bitPattern), "\(name)")
    }
  }

  @Test(
    "tile by tile and layer by layer are the same",
    arguments: [Scheme.f16, .bf16, .q8, .q4, .q3, .q5, .q6], [1, 3])
  func blockOrders(_ scheme: Scheme, _ threads: Int) throws {
    let tiled = try Self.intermediates(scheme, threads: threads, wideElements: 0)
    let wide = try Self.intermediates(scheme, threads: threads, wideElements: 1 << 40)
    for (name, values) in tiled {
      #expect(values.map(\.bitPattern) == wide[name]?.map(\.bitPattern), "\(name)")
    }
  }

  @Test("a batch gives each image what it gets alone")
  func batch() throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(Self.checkpoint, .q8, in: folder)
    let names = ["horse.png", "chelsea.png", "coffee.png"].map {
      TestFiles.root.appendingPathComponent("docs/images/\($0)").path
    }
    let images = try names.map { name in
      try session.preprocessing.apply(try ImageDecoder.decode(path: name), name: name)
    }
    let together = try session.run(images)
    for (image, result) in zip(images, together) {
      let alone = try session.run([image])[0]
      #expect(alone.logits?.map(\.bitPattern) == result.logits?.map(\.bitPattern))
      #expect(alone.embedding.map(\.bitPattern) == result.embedding.map(\.bitPattern))
    }
  }

  @Test("V44 an image that needs more memory than there is is refused before any is taken")
  func enormous() throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(Self.checkpoint, .q8, in: folder)
    let shape = FeatureShape(batch: 1, height: 1 << 20, width: 1 << 20, channels: 3)
    let config = try #require(session.description.config as? ConvNeXtConfig)
    #expect(throws: ModelError.self) {
      try ConvNeXtContext(
        config, capacity: shape, pool: session.pool, kernels: session.kernels)
    }
  }

  @Test("P55 an image smaller than the model's stride is refused, an odd one is not")
  func small() throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(Self.checkpoint, .q8, in: folder)
    let tiny = PixelTensor(height: 31, width: 64, values: .init(repeating: 0, count: 31 * 64 * 3))
    #expect(throws: ModelError.self) { try session.run([tiny]) }
    let odd = PixelTensor(height: 45, width: 33, values: .init(repeating: 0, count: 45 * 33 * 3))
    let result = try session.run([odd])
    #expect(result[0].logits?.allSatisfy(\.isFinite) == true)
  }
}

/// The trained sample model against PyTorch's answers on photographs, in whole and in pieces.
struct PhotographTests {
  private struct Piece {
    let name: String
    let pixels: PixelTensor
    let logits: [Float]
  }

  /// `photographs.json`, which `scripts/make-classifier-goldens` made.
  private func pieces(_ preprocessing: Preprocessing) throws -> [Piece] {
    let json = try TestFiles.json(TestFiles.fixture("convnext-cifar10/photographs.json"))
    return try #require(json.arrayValue).map { entry in
      let file = try #require(entry["file"]?.stringValue)
      let box = try #require(entry["box"]?.arrayValue).compactMap(\.intValue)
      try #require(box.count == 4)
      let path = TestFiles.root.appendingPathComponent(file).path
      let image = try ImageDecoder.decode(path: path, policy: .pillow)
        .cropped(x: box[0], y: box[1], width: box[2], height: box[3])
      return Piece(
        name: "\(file) \(box)", pixels: try preprocessing.apply(image, name: file),
        logits: try #require(entry["logits"]?.arrayValue).map { Float($0.doubleValue ?? .nan) })
    }
  }

  @Test("f32 logits agree with PyTorch")
  func logits() throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(SchemeQualityTests.checkpoint, .f32, in: folder)
    let pieces = try pieces(session.preprocessing)
    #expect(pieces.count == 54)
    for piece in pieces {
      let found = try #require(try session.run([piece.pixels])[0].logits)
      // The file gives five decimals.
      let difference = maxAbsDifference(found, piece.logits)
      #expect(difference <= 1e-4, "\(piece.name): differs by \(difference)")
    }
  }

  /// Pieces whose two best classes are as near to each other as rounding moves them may change.
  @Test("q8 and q4 choose PyTorch's class", arguments: [(Scheme.q8, Float(0.15)), (.q4, 0.8)])
  func classes(_ scheme: Scheme, _ margin: Float) throws {
    let folder = try TemporaryFolder()
    let session = try convertedSession(SchemeQualityTests.checkpoint, scheme, in: folder)
    var decided = 0
    for piece in try pieces(session.preprocessing) {
      let best = piece.logits.sorted(by: >)
      guard best[0] - best[1] > margin else { continue }
      decided += 1
      let found = try #require(try session.run([piece.pixels])[0].logits)
      #expect(found.firstIndex(of: found.max() ?? 0) == piece.logits.firstIndex(of: best[0]))
    }
    #expect(decided >= 30)
  }
}

/// The same on CIFAR-10's test images, which may not lie in the project.
@Suite(.enabled(if: TestFiles.hasAssets, Comment(rawValue: TestFiles.assetsReason)))
struct TrainedModelTests {
  /// Logits of 100 images, from `expected.json`, as PyTorch computed them.
  @Test("f32 logits agree with PyTorch on every listed image")
  func logits() throws {
    let expected = try JSONValue.parse(
      try MappedFile(path: TestFiles.fixture("convnext-cifar10/expected.json")).allBytes())
    let folder = try TemporaryFolder()
    let session = try convertedSession(SchemeQualityTests.checkpoint, .f32, in: folder)
    let listed = try #require(expected["logits"]?.objectValue)
    for member in listed.members {
      let path = TestFiles.asset("cifar10-test/\(member.key)")
      let pixels = try session.preprocessing.apply(
        try ImageDecoder.decode(path: path, policy: .pillow), name: path)
      let found = try #require(try session.run([pixels])[0].logits)
      let want = (member.value.arrayValue ?? []).map { Float($0.doubleValue ?? .nan) }
      // The file gives five decimals.
      #expect(maxAbsDifference(found, want) <= 1e-4, "\(member.key)")
    }
    #expect(listed.count == 100)
  }

  /// The bounds are the project's promise: 0.3 points at q8 and q6, 0.5 at q5, 1 point at q4. For q3, which
  /// wants calibration, `EvaluatedAccuracyTests` has it.
  @Test("top-1 on 2,000 images stays within the promised distance of f32")
  func accuracy() throws {
    let names = [
      "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ]
    let folder = try TemporaryFolder()
    var correct: [Scheme: Int] = [:]
    for scheme in [Scheme.f32, .q8, .q6, .q5, .q4] {
      // The scalar kernels take minutes; one set is enough here, all agree above.
      let session = try convertedSession(
        SchemeQualityTests.checkpoint, scheme, in: folder, kernels: KernelSet.all.last)
      for (index, name) in names.enumerated() {
        let images = try (0..<200).map { number in
          let file = String(repeating: "0", count: 4 - String(number).count) + String(number)
          let path = TestFiles.asset("cifar10-test/\(name)/\(file).jpg")
          return try session.preprocessing.apply(
            try ImageDecoder.decode(path: path, policy: .pillow), name: path)
        }
        for result in try session.run(images) {
          let top = ClassScores.top(1, of: result.logits ?? [], as: .softmax)
          if top.first?.index == index { correct[scheme, default: 0] += 1 }
        }
      }
    }
    let exact = try #require(correct[.f32])
    let expected = try TestFiles.json(TestFiles.fixture("convnext-cifar10/expected.json"))
    let percent = try #require(expected["top1_shared_2000"]?.doubleValue)
    #expect(abs(Double(exact) / 20 - percent) < 1e-9, "PyTorch gets \(percent) % of 2,000")
    for (scheme, points) in [(Scheme.q8, 0.3), (.q6, 0.3), (.q5, 0.5), (.q4, 1)] {
      let found = correct[scheme] ?? 0
      #expect(Double(exact - found) / 20 <= points, "\(scheme): \(found)")
    }
  }
}

extension MappedFile {
  fileprivate func allBytes() -> [UInt8] { withBytes(0..<count) { Array($0) } }
}
