import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

/// Whole models from containers of random weights, run as `vlm-run` runs them.
///
/// The containers stand in a temporary folder, which `removeFiles` removes; sessions that are open
/// keep theirs mapped.
final class Towers {
  private let folder: String
  private var files: [String: String] = [:]

  /// - Throws: `BenchError` when there is no place for temporary files.
  init() throws(BenchError) {
    let parent = getenv("TMPDIR").map { String(fileName: $0) } ?? "/tmp"
    var template = "\(parent)/vlm-bench.XXXXXX".fileNameBytes.map { CChar(bitPattern: $0) } + [0]
    guard mkdtemp(&template) != nil else {
      throw BenchError(.temporaryFolder(parent, errno: errno))
    }
    folder = String(fileName: template)
  }

  deinit { removeFiles() }

  func removeFiles() {
    for file in files.values { FileSystem.unlink(file) }
    files = [:]
    _ = folder.withFileName { rmdir($0) }
  }

  /// The model, opened; its container is made when it was not before.
  func tower(
    _ model: String, _ scheme: Scheme, kernels: KernelSet, threads: Int
  ) throws -> RandomTower {
    if let encoder = try RandomEncoder(named: model) {
      let path = try path(model, scheme) { path in
        try RandomModel.write(
          try encoder.manifest(kernels: kernels), config: Registry.json(of: encoder.tower),
          scheme: scheme,
          to: path)
      }
      return try RandomTower(encoder, path: path, kernels: kernels, threads: threads)
    }
    let path = try path(model, scheme) { path in
      try RandomModel.write(try RandomModel.image(named: model), scheme: scheme, to: path)
    }
    return RandomTower(try Session(path: path, kernels: kernels, threads: threads))
  }

  /// The container of the model, written when it was not before.
  func path(
    _ model: String, _ scheme: Scheme, write: (_ path: String) throws -> Void
  ) throws -> String {
    let key = "\(model)-\(scheme.name)"
    if let path = files[key] { return path }
    let path = "\(folder)/\(key).vlmz"
    files[key] = path
    try write(path)
    return path
  }

  func prepare(
    _ name: CaseName, _ model: String, _ scheme: Scheme, _ side: Int, kernels: KernelSet
  ) throws -> PreparedCase {
    // One a case: a session plans its memory for one size.
    let tower = try tower(model, scheme, kernels: kernels, threads: name.threads)
    let image = Self.image(side: side)
    return PreparedCase(
      name: name, operations: try tower.operations(side), bytes: Double(tower.weightBytes),
      bound: name.bound
    ) { try tower.run(image) }
  }

  /// A square of noise.
  static func image(side: Int) -> PixelTensor {
    var random = SplitMix64(seed: UInt64(side))
    return PixelTensor(
      height: side, width: side, values: (0..<side * side * 3).map { _ in random.next(in: 2) })
  }
}

extension ConvNeXtConfig {
  /// Products and additions in matrices and convolutions for one image, each counted; norms and
  /// activations, about a percent, are not.
  package func operations(height: Int, width: Int) -> Double {
    var (height, width, total) = (height, width, 0.0)
    func convolve(_ geometry: PatchGeometry, _ inputs: Int, _ outputs: Int) {
      (height, width) = (geometry.outputExtent(height), geometry.outputExtent(width))
      total += Double(height * width) * Double(geometry.kernel * geometry.kernel * inputs * outputs)
    }
    switch stem {
    case .patch(let size):
      convolve(PatchGeometry(kernel: size, stride: size), inputChannels, stemChannels)
    case .overlap(let middle, _):
      let geometry = PatchGeometry(kernel: 3, stride: 2, padding: 1, trailingPadding: 1)
      convolve(geometry, inputChannels, middle)
      convolve(geometry, middle, stemChannels)
    }
    var channels = stemChannels
    for stage in stages {
      if let geometry = stage.downsample { convolve(geometry, channels, stage.channels) }
      channels = stage.channels
      let perPixel = channels * (stage.kernel * stage.kernel + 2 * stage.hidden)
      total += Double(height * width) * Double(stage.depth * perPixel)
    }
    var features = featureChannels
    if let hidden = head.hidden {
      total += Double(features * hidden)
      features = hidden
    }
    if let output = head.output { total += Double(features * output.count) }
    return 2 * total
  }
}
