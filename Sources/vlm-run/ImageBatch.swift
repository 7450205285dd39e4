import VLMImages

/// Images of one size that are decoded and wait to be run together, and the errors of those between them.
struct ImageBatch {
  /// What is told of an image.
  struct Input {
    let width: Int
    let height: Int
    /// That reading it took.
    let seconds: Double
  }

  /// An image, or the error in its place.
  struct Waiting {
    let picture: PictureInput
    let input: Result<Input, any Error>
  }

  /// In the order given.
  private(set) var waiting: [Waiting] = []
  /// Of those without an error.
  private(set) var pixels: [PixelTensor] = []

  mutating func add(_ picture: PictureInput, _ error: any Error) {
    waiting.append(Waiting(picture: picture, input: .failure(error)))
  }

  mutating func add(_ picture: PictureInput, _ image: PixelTensor, seconds: Double) {
    let input = Input(width: image.width, height: image.height, seconds: seconds)
    waiting.append(Waiting(picture: picture, input: .success(input)))
    pixels.append(image)
  }

  /// Whether an image can be run together with those here.
  func fits(_ image: PixelTensor) -> Bool {
    pixels.first.map { $0.height == image.height && $0.width == image.width } ?? true
  }

  /// Gives the pixels away, so that they are freed as soon as the model has read them.
  mutating func takePixels() -> [PixelTensor] {
    defer { pixels = [] }
    return pixels
  }
}
