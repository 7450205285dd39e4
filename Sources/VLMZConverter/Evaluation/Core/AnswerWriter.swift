import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// Writes the answers that a model finds most probable, as in ordinary use.
final class AnswerWriter {
  private let model: Model
  private let language: LanguageModel
  private let template: (any PromptTemplate)?
  private let preprocessing: Preprocessing?
  private let cancelled: CancellationFlag?
  private var conversation: Conversation?

  /// - Parameter preprocessing: how pictures are prepared; nil for what the model's file says.
  /// - Throws: errors of the model's sections.
  init(_ model: Model, preprocessing: Preprocessing?, cancelled: CancellationFlag?) throws {
    self.model = model
    self.preprocessing = preprocessing
    self.cancelled = cancelled
    language = try model.requireLanguage()
    template = try TemplateChoice(model, language, arguments: JSONObject()).own().template
  }

  /// The answer to a sequence's prompt.
  ///
  /// - Parameter tokens: at most.
  /// - Returns: its ids, with the token that ended it, where one did.
  /// - Throws: errors for pictures that cannot be read, `WorkCancelled`, what the model throws.
  func answer(_ sequence: TokenSequence, tokens: Int) throws -> [Int] {
    let images = try sequence.pictures.map { picture in
      let prepared = try language.prepare(
        picture, preprocessing, isOneOfSeveral: sequence.pictures.count > 1)
      do { return try language.encode(prepared, pool: model.pool, cancelled: cancelled) } catch let
        error as ModelError where error.isAboutPicture
      {
        throw error.of(picture)
      }
    }
    let prompt = Array(sequence.ids.prefix(sequence.promptCount))
    let visual = images.reduce(0) { $0 + $1.positionCount }
    let conversation = try conversation(length: prompt.count - images.count + visual + tokens)
    var chosen: [Int] = []
    conversation.generator.observeStep = { chosen.append($0.token) }
    defer { conversation.generator.observeStep = nil }
    _ = try conversation.answer(
      toPrompt: prompt, images: images, GenerationOptions(maximumTokens: tokens),
      cancelled: cancelled)
    if cancelled?.isCancelled ?? false { throw WorkCancelled() }
    return chosen
  }

  /// One with room for so many positions.
  private func conversation(length: Int) throws -> Conversation {
    if let conversation, conversation.contextLength >= length { return conversation }
    conversation = nil
    let made = try Conversation(
      with: model, try language.generator(pool: model.pool, contextLength: length),
      template: template)
    conversation = made
    return made
  }

  /// Whether an error is a picture's, so that others may do.
  static func isAboutPicture(_ error: any ReportableError) -> Bool {
    error is ImageError || (error as? ModelError)?.isAboutPicture ?? false
  }
}

extension LanguageModel {
  /// What the tower sees of a picture.
  ///
  /// - Parameter preprocessing: nil for the model's own.
  func prepare(
    _ picture: CalibrationData.Picture, _ preprocessing: Preprocessing? = nil,
    isOneOfSeveral: Bool = false
  ) throws -> PreparedPicture {
    guard let preprocessing else {
      return try prepare(
        picture.open(), name: picture.name,
        geometry: PictureGeometry(isOneOfSeveral: isOneOfSeveral))
    }
    return try preprocessing.prepare(
      picture.open(), name: picture.name, isOneOfSeveral: isOneOfSeveral)
  }
}
