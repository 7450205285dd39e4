import ArgumentParser
import VLMCommandLine
import VLMFoundation
import VLMImages
import VLMModels
import VLMText
import VLMZ

/// A question about a film.
extension ConversationRun {
  /// Shows the frames that the model would take of the film, and asks.
  ///
  /// - Parameter rate: frames of the film in a second.
  /// - Throws: `ValidationError` for a model that was not trained on films; what is wrong with a frame.
  func ask(
    _ question: String, ofFilm source: PictureSource, rate: Double, _ conversation: Conversation
  ) throws {
    guard !question.contains(ImagePrompt.marker) else {
      throw ValidationError(
        "--fps: found \(ImagePrompt.marker) in the question, expected none: frames have places of "
          + "their own before it")
    }
    let (film, frames) = try film(source, rate: rate)
    var encoded = Encoded()
    try film.forEach(frames) { picture, image in
      let start = Progress.now()
      let prepared = try prepare(picture, decoded: image, isFrame: true)
      let tokens = try encode(prepared, of: picture, observe: nil)
      conversation.add(tokens)
      encoded.add(picture, tokens: tokens.count, seconds: Progress.now() - start)
    }
    if !quiet, frames.count < film.count {
      Report.note("[\(frames.count) of \(film.count) frames]")
    }
    let text = VideoPrompt.text(question, frames: frames, of: film.count, rate: rate)
    try ask(text, conversation, encoded, cancelled: nil)
  }

  /// A film, and the frames that the model would take of it, by their numbers from 0.
  ///
  /// - Throws: as `ask(_:ofFilm:rate:_:)`.
  func film(_ source: PictureSource, rate: Double) throws -> (Film, frames: [Int]) {
    guard let sampling = model.language.filmSampling else {
      throw ValidationError(
        "--fps: expected a model that was trained on films, such as SmolVLM2; without it the "
          + "pictures are shown as such")
    }
    let film = try Film(source, background: background, limits: limits)
    guard film.count > 0 else { throw ValidationError("--fps: found no pictures") }
    return (film, sampling.frames(of: film.count, rate: rate))
  }

  /// Says that a file has more pictures than the one that is seen.
  func noteOfFilm(_ picture: PictureInput) {
    guard !quiet else { return }
    SeveralPictures.note(picture, limits, hasFilms: model.language.filmSampling != nil)
  }

  /// What shows where a GIF paints nothing.
  private var background: RGB {
    if case .seen(let background) = policy { background } else { .black }
  }
}
