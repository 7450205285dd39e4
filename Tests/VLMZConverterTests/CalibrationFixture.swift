import Foundation
import VLMContainer
import VLMConversion
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMTestSupport
import VLMText
import VLMZ

@testable import VLMZConverter

/// Small models and data for calibration.
enum CalibrationFixture {
  static let stories = TestFiles.fixture("stories260K")
  static let classifier = TestFiles.fixture("convnext-cifar10")
  static let clip = TestFiles.fixture("zero-shot")
  static let llava = TestFiles.golden("convllava-trained/hf-A-safetensors")
  static let pictures = TestFiles.root.appendingPathComponent("docs/images").path

  /// Words that the stories' tokenizer knows, in no order that means anything, always the same ones.
  static func text(words count: Int, seed: UInt64 = 1) -> String {
    let words = [
      "Once", "upon", "a", "time", "there", "was", "little", "girl", "named", "Lily", "She",
      "liked",
      "to", "play", "with", "her", "dog", "in", "the", "park", "One", "day", "they", "saw", "big",
      "red", "ball", "and", "were", "very", "happy", "Tom", "said", "I", "want", "it", "too",
    ]
    var random = SplitMix64(seed: seed)
    return (0..<count).map { index in
      words[Int(random.next() % UInt64(words.count))] + (index % 9 == 8 ? "." : "")
    }.joined(separator: " ")
  }

  static func converter(
    _ input: String, _ scheme: WeightScheme, _ calibration: Converter.Calibration?,
    threads: Int = 2
  ) throws -> Converter {
    var options = Converter.Options(scheme: scheme)
    options.calibration = calibration
    options.threads = threads
    options.overwrites = true
    return try Converter(opening: input, options: options)
  }

  /// Converts and returns the bytes of the container.
  static func bytes(
    _ input: String, _ calibration: Converter.Calibration?, to path: String, threads: Int = 2
  ) throws -> Data {
    try converter(input, .q4, calibration, threads: threads).convert(to: path)
    return try Data(contentsOf: URL(fileURLWithPath: path))
  }

  /// An f32 container of `input`, opened and observed.
  static func observed(
    _ input: String, _ collector: StatisticsCollector, in folder: TemporaryFolder
  ) throws -> Model {
    let path = folder.path("reference.vlmz")
    try converter(input, .f32, nil).convert(to: path)
    return try Model(
      try Container.open(path: path), kernels: .best, pool: WorkerPool(threadCount: 2),
      observer: collector)
  }
}
