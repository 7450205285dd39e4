import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor

/// What files beside a SmolVLM's weights say of tiles and films.
extension SourceDescriptions {
  /// The steps of its image processor with what other files say of films.
  ///
  /// - Throws: `ConversionError` for a processor that makes no tiles; `ModelError` for tiles that the
  ///   tower cannot take, or of which it makes another number of tokens than the files say.
  mutating func withFilms(
    _ steps: Preprocessing, _ tower: SmolVLMVisionConfig
  ) throws -> Preprocessing {
    guard case .splitting(var splitting) = steps.tiling, let tile = steps.fixedSize?.width else {
      throw ConversionError(
        path: folder,
        .preprocessing(
          "of another model, expected that of Idefics3ImageProcessor or SmolVLMImageProcessor",
          .preprocessor(.ofModel)))
    }
    let count = try tower.grid(height: tile, width: tile).count
    let parts = try read("processor_config.json")
    if let stated = parts?["image_seq_len"]?.intValue, stated != count {
      throw ModelError(
        file: folderPath("processor_config.json"),
        .configuration(
          field: "image_seq_len", found: "\(stated)",
          expected: "\(count), the tokens of a tile of \(tile)×\(tile)"))
    }
    guard splitting.film == nil else { return steps }
    let own = "video_preprocessor_config.json"
    let found: (json: JSONValue, file: String)? =
      try read(own).map { ($0, own) }
      ?? parts?["video_processor"].map { ($0, "processor_config.json") }
    guard let found else { return steps }
    splitting.film = try FrameSampling(
      checkpointConfig: found.json, tile: tile, name: folderPath(found.file))
    var result = steps
    result.tiling = .splitting(splitting)
    return result
  }
}
