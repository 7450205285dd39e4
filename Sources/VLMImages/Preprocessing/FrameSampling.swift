import VLMFoundation

/// Which frames of a film a model sees, and how large: transformers' `SmolVLMVideoProcessor`.
package struct FrameSampling: Sendable, Equatable {
  /// Pixels that the long side of a frame is resized to before it becomes a square tile.
  package var longestEdge: Int
  /// Frames per second of the film that are wanted.
  package var framesPerSecond: Double
  /// Frames that are taken at most.
  package var maximumFrames: Int

  package init(longestEdge: Int, framesPerSecond: Double, maximumFrames: Int) {
    self.longestEdge = longestEdge
    self.framesPerSecond = framesPerSecond
    self.maximumFrames = maximumFrames
  }

  /// A model trained on more has not been seen.
  package static let mostFrames = 512

  /// The frames to take of a film, by their numbers from 0: evenly spread, without its first and last
  /// second where it is long.
  ///
  /// - Parameters:
  ///   - count: frames of the film, at least 1.
  ///   - rate: of them, so many are a second; above 0.
  package func frames(of count: Int, rate: Double) -> [Int] {
    precondition(count > 0 && rate > 0, "a film")
    let duration = Double(count) / rate
    let estimated = (framesPerSecond * duration).rounded(.toNearestOrEven)
    let wanted = max(1, Int(min(estimated, Double(maximumFrames))))
    var (first, last) = (0, count - 1)
    if duration - 2 > Double(maximumFrames) * framesPerSecond {
      // One second is less than the film is long, so both stay within its numbers.
      first = Int(rate)
      last = min(Int(Double(count) - rate), count - 1)
    }
    if first >= last { (first, last) = (0, count - 1) }
    guard wanted > 1 else { return [first] }
    let step = Double(last - first) / Double(wanted - 1)
    var frames: [Int] = []
    for index in 0..<wanted {
      let frame =
        index == wanted - 1 ? last : Int((Double(index) * step + Double(first)).rounded(.down))
      if frames.last != frame { frames.append(frame) }
    }
    return frames
  }

  /// The form stored in a container: `{"longest_edge": n, "fps": f, "max_frames": n}`.
  var json: JSONValue {
    [
      "longest_edge": .int(longestEdge), "fps": .double(framesPerSecond),
      "max_frames": .int(maximumFrames),
    ]
  }

  /// Reads the form that `json` writes.
  init(json: JSONValue, name: String) throws(PreprocessingError) {
    let fields = PreprocessingFields(json: json, name: name)
    longestEdge = try fields.side(fields.member("longest_edge"), "longest_edge")
    framesPerSecond = try fields.rate(fields.member("fps"), "fps")
    maximumFrames = try fields.frames(fields.member("max_frames"), "max_frames")
  }

  /// Reads a `SmolVLMVideoProcessor`'s configuration, or what the published files have of it among an
  /// image processor's: `video_sampling`.
  ///
  /// - Parameters:
  ///   - tile: of the image processor, which a frame has to become too.
  ///   - name: of the file, for errors.
  /// - Returns: nil for a configuration that says nothing of films.
  package init?(
    checkpointConfig json: JSONValue, tile: Int, name: String
  ) throws(PreprocessingError) {
    let fields = PreprocessingFields(json: json, name: name)
    let sampling = PreprocessingFields(json: json["video_sampling"] ?? .null, name: name)
    guard let rate = sampling.member("fps") ?? fields.member("fps"),
      let most = sampling.member("max_frames") ?? fields.member("num_frames")
    else { return nil }
    // The outer size wins, whatever the inner one says.
    let size = fields.member("size") ?? sampling.member("video_size")
    longestEdge = try fields.side(size?["longest_edge"], "size.longest_edge")
    framesPerSecond = try fields.rate(rate, "fps")
    maximumFrames = try fields.frames(most, "max_frames")
    if let stated = fields.member("max_image_size"), stated["longest_edge"]?.intValue != tile {
      throw fields.failure("max_image_size", "a longest_edge of \(tile), the image processor's")
    }
  }
}

extension PreprocessingFields {
  fileprivate func rate(_ value: JSONValue?, _ key: String) throws(PreprocessingError) -> Double {
    guard let rate = value?.doubleValue, rate > 0, rate <= 1000 else {
      throw failure(key, "a number above 0, at most 1000")
    }
    return rate
  }

  fileprivate func frames(_ value: JSONValue?, _ key: String) throws(PreprocessingError) -> Int {
    guard let count = value?.intValue, (1...FrameSampling.mostFrames).contains(count) else {
      throw failure(key, "1 to \(FrameSampling.mostFrames)")
    }
    return count
  }
}
