import VLMTensor
import VLMTestSupport
import VLMZ

/// The models that the tests of the library use, converted into a folder of their own.
struct LibraryModels {
  let folder: TemporaryFolder
  var path: String { folder.path("model.vlmz") }

  private init() throws { folder = try TemporaryFolder() }

  /// A classifier with ten names.
  static func classifier() throws -> LibraryModels {
    let made = try LibraryModels()
    _ = try convertedSession(SchemeQualityTests.checkpoint, .q8, in: made.folder)
    return made
  }

  /// A CLIP with its text tower and its vocabulary.
  static func clip() throws -> LibraryModels {
    let made = try LibraryModels()
    _ = try convertedSession(
      TestFiles.golden("openclip-convnext/\(OpenCLIPGoldenTests.checkpoints[0])"), .f32,
      in: made.folder)
    return made
  }

  /// A model that tells stories and sees nothing.
  static func stories(_ scheme: Scheme = .q8) throws -> LibraryModels {
    let made = try LibraryModels()
    _ = try conversation(TestFiles.fixture("stories260K"), scheme, in: made.folder)
    return made
  }

  /// A model that answers questions about pictures.
  static func sighted() throws -> LibraryModels {
    let made = try LibraryModels()
    _ = try conversation(
      TestFiles.golden("convllava-trained/hf-A-safetensors"), .q4, in: made.folder)
    return made
  }

  /// A model that was trained on films.
  static func films() throws -> LibraryModels {
    let made = try LibraryModels()
    _ = try conversation(SmolVLMFixture.path("trained"), .f32, in: made.folder)
    return made
  }

  func open(threads: Int? = 2) throws -> Model {
    try Model(opening: path, options: .init(threads: threads))
  }

  static func picture(_ name: String) throws -> Image {
    try Image(contentsOf: TestFiles.golden("convllava-trained/\(name)"))
  }

  static func horse() throws -> Image { try Image(contentsOf: SchemeQualityTests.photo) }
}

/// Runs `body`, which must throw a `VLMZError`.
func libraryError(_ body: () throws -> Void) -> VLMZError? {
  do { try body() } catch { return error as? VLMZError }
  return nil
}
