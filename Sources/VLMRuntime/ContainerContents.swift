import VLMContainer
import VLMKernels
import VLMModels
import VLMNN
import VLMTensor

extension Container {
  /// The content of a JSON section; nil when there is none.
  ///
  /// - Throws: `ContainerError`, `ModelError` when it is no JSON.
  package func json(_ kind: SectionKind) throws -> JSONValue? {
    guard let bytes = try section(kind) else { return nil }
    do throws(JSONError) { return try JSONValue.parse(bytes, limits: JSONLimits()) } catch {
      throw ModelError(
        file: path, .configuration(field: "\(kind)", found: error.description, expected: "JSON"))
    }
  }

  /// Which model this is.
  package func modelDescription() throws -> ModelDescription {
    try ModelError.inFile(path) { try ModelDescription(json: try json(.config) ?? .null) }
  }
}

extension MatrixView {
  /// A map `[batch * height * width, channels]` as PyTorch orders it: `[batch, c, h, w]`.
  package func channelsFirst(_ shape: FeatureShape) -> [Float] {
    let values = array()
    let (area, channels) = (shape.height * shape.width, shape.channels)
    var planar = [Float](repeating: 0, count: values.count)
    for image in 0..<shape.batch {
      let start = image * area * channels
      for pixel in 0..<area {
        for channel in 0..<channels {
          planar[start + channel * area + pixel] = values[start + pixel * channels + channel]
        }
      }
    }
    return planar
  }
}
