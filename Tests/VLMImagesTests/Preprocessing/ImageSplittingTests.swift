import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMImages

/// Idefics3's image splitting and SmolVLM's choice of frames, against transformers' own numbers.
struct ImageSplittingTests {
  typealias Size = (height: Int, width: Int)

  static let sizes:
    [(picture: Size, edge: Int, tile: Int, resized: Size, rows: Int, columns: Int)] = [
      ((480, 640), 2048, 512, (1536, 2048), 3, 4), ((640, 480), 2048, 512, (2048, 1536), 4, 3),
      ((1000, 1000), 2048, 512, (2048, 2048), 4, 4), ((37, 1000), 1456, 364, (54, 1456), 1, 4),
      ((1000, 1), 2048, 512, (2048, 2), 4, 1), ((300, 400), 365, 365, (274, 365), 0, 0),
      ((700, 701), 1536, 384, (1534, 1536), 4, 4),
      ((3000, 5000), 4096, 364, (2458, 4096), 8, 12), ((50, 50), 30, 30, (30, 30), 0, 0),
      ((1, 5000), 6000, 512, (1, 4096), 1, 8), ((333, 500), 1920, 384, (1278, 1920), 4, 5),
    ]

  @Test("sizes and grids are those of get_resize_output_image_size and split_images")
  func grids() {
    for (picture, edge, tile, resized, rows, columns) in Self.sizes {
      let found = ImageSplitting.resized(
        PictureExtent(height: picture.height, width: picture.width), longestEdge: edge)
      #expect(found == PictureExtent(height: resized.height, width: resized.width), "\(picture)")
      let splitting = ImageSplitting(longestEdge: edge, splits: true)
      let layout = splitting.layout(height: picture.height, width: picture.width, tile: tile)
      #expect(layout.rows == rows && layout.columns == columns, "\(picture)")
      #expect(layout.overview == rows * columns && layout.count == rows * columns + 1)
      let whole = ImageSplitting(longestEdge: edge, splits: false)
      #expect(
        whole.layout(height: picture.height, width: picture.width, tile: tile).isWhole)
    }
  }

  static let processor: JSONValue = [
    "image_processor_type": "SmolVLMImageProcessor", "size": ["longest_edge": 60],
    "max_image_size": ["longest_edge": 30], "resample": 1, "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "video_sampling": ["fps": 1, "max_frames": 4, "video_size": ["longest_edge": 20]],
  ]

  static func changed(_ key: String, _ value: JSONValue) -> JSONValue {
    var object = JSONObject()
    for member in processor.objectValue?.members ?? [] { object.set(member.key, member.value) }
    object.set(key, value)
    return .object(object)
  }

  @Test("a processor's configuration is read, and what is stored is what was read")
  func processors() throws {
    let steps = try Preprocessing(checkpointConfig: Self.processor, name: "p")
    #expect(steps.filter == .lanczos && steps.fixedSize?.width == 30)
    guard case .splitting(let splitting)? = steps.tiling else {
      Issue.record("found no tiles")
      return
    }
    // The outer size wins.
    let film = FrameSampling(longestEdge: 60, framesPerSecond: 1, maximumFrames: 4)
    #expect(splitting == ImageSplitting(longestEdge: 60, splits: true, film: film))
    let read = try Preprocessing(
      json: try JSONValue.parse(Array(steps.json().serialized().utf8)), name: "p")
    #expect(read == steps)
    let bare = try Preprocessing(
      checkpointConfig: ["image_processor_type": "Idefics3ImageProcessor"], name: "p")
    #expect(bare.fixedSize?.width == 364)
    #expect(bare.tiling == .splitting(ImageSplitting(longestEdge: 1456, splits: true)))
  }

  static let hostile: [(String, JSONValue)] = [
    ("do_resize", false), ("size", ["height": 30, "width": 30]), ("size", 60),
    ("size", ["longest_edge": 0]), ("max_image_size", ["longest_edge": "30"]),
    ("max_image_size", 30), ("max_image_size", ["longest_edge": 1]),
    ("do_image_splitting", "yes"), ("video_sampling", ["fps": 0, "max_frames": 4]),
    ("video_sampling", ["fps": 1, "max_frames": 1_048_576]), ("resample", 9),
  ]

  @Test("a configuration of other steps is refused by its key")
  func refused() throws {
    for (key, value) in Self.hostile {
      let error = thrownError(PreprocessingError.self) {
        try Preprocessing(checkpointConfig: Self.changed(key, value), name: "p")
      }
      let found = try #require(error, "\(key)")
      let words = key == "video_sampling" ? ["fps", "max_frames"] : [key, "size"]
      #expect(words.contains { "\(found)".contains($0) }, "\(key): \(found)")
    }
  }

  @Test("frames are those of SmolVLMVideoProcessor")
  func frames() {
    func frames(_ most: Int, _ fps: Double, of count: Int, _ rate: Double) -> [Int] {
      FrameSampling(longestEdge: 30, framesPerSecond: fps, maximumFrames: most)
        .frames(of: count, rate: rate)
    }
    #expect(frames(64, 1, of: 1, 1) == [0] && frames(64, 1, of: 6, 2) == [0, 2, 5])
    #expect(frames(64, 1, of: 7, 3) == [0, 6] && frames(64, 1, of: 30, 29.97) == [0])
    #expect(frames(64, 1, of: 3, 0.25) == [0, 1, 2])
    #expect(frames(8, 2, of: 100, 10) == [0, 14, 28, 42, 56, 70, 84, 99])
    #expect(frames(8, 2, of: 2000, 24) == [24, 302, 581, 860, 1139, 1418, 1697, 1976])
    #expect(frames(8, 2, of: 41, 4) == [0, 5, 11, 17, 22, 28, 34, 40])
    #expect(frames(5, 0.5, of: 7, 3) == [0])
    #expect(frames(5, 0.5, of: 41, 4) == [4, 12, 20, 28, 37])
    #expect(frames(5, 0.5, of: 250, 25) == [25, 75, 125, 175, 225])
    let many = frames(64, 1, of: 2000, 24)
    #expect(many.count == 64 && many.prefix(3) == [24, 54, 85] && many.last == 1976)
  }
}
