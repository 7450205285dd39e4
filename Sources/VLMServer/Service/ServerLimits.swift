/// What a request may ask for, and what it may cost.
package struct ServerLimits: Sendable, Equatable {
  /// Bytes of a request's body.
  package var bodyBytes: Int
  /// Pictures and films of a request.
  package var pictures: Int
  /// Frames of all films of a request.
  package var frames: Int
  /// Pixels of a picture or a frame.
  package var picturePixels: Int
  /// Pixels of all pictures and frames of a request.
  package var requestPixels: Int
  /// Tokens of an answer; longer ones end there.
  package var answerTokens: Int
  /// Answers to one request: `n`, and prompts of a completion.
  package var choices: Int
  /// Texts or pictures of one request for embeddings or classes.
  package var inputs: Int
  /// Bytes of a text that is embedded or a label.
  package var textBytes: Int
  /// Requests for embeddings and classes that may wait for a model.
  package var waiting: Int
  /// Bytes that the process may take; nil where nobody said it.
  package var memoryBytes: Int?
  /// How long a request may take once it is complete.
  package var deadline: Duration

  /// Limits that differ from the defaults where they are given.
  ///
  /// - Parameter requestPixels: nil for four of the largest pictures.
  package init(
    bodyBytes: Int = 32 << 20, pictures: Int = 16, frames: Int = 1024,
    picturePixels: Int = 50_000_000,
    requestPixels: Int? = nil, answerTokens: Int = 4096, choices: Int = 8, inputs: Int = 256,
    textBytes: Int = 1 << 16,
    waiting: Int = 64, memoryBytes: Int? = nil, deadline: Duration = .seconds(600)
  ) {
    self.bodyBytes = bodyBytes
    self.pictures = pictures
    self.frames = frames
    self.picturePixels = picturePixels
    self.requestPixels = requestPixels ?? 4 * picturePixels
    self.answerTokens = answerTokens
    self.choices = choices
    self.inputs = inputs
    self.textBytes = textBytes
    self.waiting = waiting
    self.memoryBytes = memoryBytes
    self.deadline = deadline
  }
}
