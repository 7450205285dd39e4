import VLMCheckpoint
import VLMCommandLine
import VLMFoundation
import VLMImages
import VLMTensor
import VLMText

/// Reads what the user names as an image into the model's input.
struct ImageLoader {
  let preprocessing: Preprocessing
  /// Of the model's input.
  let channels: Int
  let policy: DecodePolicy
  let isFast: Bool
  let limits: ImageLimits

  /// - Throws: `ImageError`, `FileError`, or `CheckpointError` for a file of tensors; what the picture
  ///   has in its place.
  func load(_ picture: PictureInput) throws -> PixelTensor {
    if case .failure(let error) = picture.content { throw error }
    if picture.frame == nil, picture.name.hasSuffix(".safetensors") {
      return try Self.tensor(picture.name, channels: channels, limits: limits)
    }
    let name = picture.place
    guard preprocessing.color.channels == channels else {
      throw ModelError(
        file: name,
        .image(
          found: "a picture",
          expected: "a .safetensors file with pixel_values, as the model sees \(channels) channels")
      )
    }
    let decoded: LazyImage
    switch picture.content {
    case .failure(let error): throw error
    case .file:
      decoded = try Self.open(name, policy: policy, limits: limits, isFast: isFast)
    case .bytes(let bytes):
      decoded = try ImageDecoder.open(
        bytes: bytes, name: name, policy: policy, limits: limits, isFast: isFast,
        report: Report.reporter(of: name))
    }
    return try preprocessing.apply(decoded, name: name, limits: limits)
  }

  /// Opens a picture.
  ///
  /// - Throws: `ImageError`; `CheckpointError` for a model in a picture's place.
  static func open(
    _ path: String, as place: String? = nil, policy: DecodePolicy, limits: ImageLimits,
    isFast: Bool
  ) throws -> LazyImage {
    do throws(ImageError) {
      return try ImageDecoder.open(
        path: path, policy: policy, limits: limits, isFast: isFast,
        report: Report.reporter(of: place ?? path))
    } catch {
      guard case .unrecognized = error.problem,
        let refusal = CheckpointPath.refusalAsPicture(path)
      else { throw error }
      throw refusal
    }
  }

  /// The model's input as another engine made it: `pixel_values`, f32 `[1, channels, height, width]`.
  ///
  /// - Throws: `CheckpointError`, `ModelError` where it is not that.
  static func tensor(
    _ path: String, channels: Int, limits: ImageLimits
  ) throws -> PixelTensor {
    let catalog = try SafetensorsFile.read(path: path)
    let name = "pixel_values"
    guard let tensor = catalog[name] else {
      if let refusal = CheckpointPath.refusalAsPicture(path) { throw refusal }
      throw ModelError(file: path, .missingTensor(name))
    }
    let isBatch = tensor.shape.count == 4 && tensor.shape[0] == 1
    let shape = isBatch ? Array(tensor.shape[1...]) : tensor.shape
    guard shape.count == 3, shape[0] == channels, shape[1] > 0, shape[2] > 0,
      shape[1] * shape[2] <= limits.maximumPixels
    else {
      throw ModelError(
        file: path, .shape(name, found: tensor.shape, expected: [1, channels, -1, -1]))
    }
    let (height, width) = (shape[1], shape[2])
    var planar = [Float](repeating: 0, count: channels * height * width)
    try planar.withUnsafeMutableBufferPointer { try tensor.readFloats(0..<$0.count, into: $0) }
    let count = planar.count { !$0.isFinite }
    guard count == 0 else {
      throw ModelError(
        file: path,
        .image(
          found: "\(count) of \(planar.count) values of \(name) are NaN or infinite",
          expected: "finite numbers"))
    }
    return PixelTensor(
      height: height, width: width, channels: channels, channelsFirst: planar)
  }
}
