/// One answer that a `BatchEngine` is asked for.
public struct GenerationRequest: Sendable {
  /// Who says something.
  public enum Role: String, Sendable, Hashable, CaseIterable {
    /// What the model is told first, instead of the template's own system message.
    case system
    /// The one who asks.
    case user
    /// An answer that was given before.
    case assistant
  }

  /// One turn of a conversation.
  public struct Message: Sendable {
    /// Whose turn it is.
    public var role: Role
    /// What is said. `<image>`, once for each picture or film, says where they stand; otherwise they
    /// stand before the text.
    public var text: String
    /// Pictures of this turn, a user's.
    public var pictures: [Picture]

    /// A turn that says something about some pictures.
    public init(_ role: Role, _ text: String, pictures: [Picture] = []) {
      self.role = role
      self.text = text
      self.pictures = pictures
    }
  }

  /// A picture of a message.
  public enum Picture: Sendable {
    /// It is encoded before the answer begins, unless one with the same pixels is kept.
    case image(Image)
    /// Encoded before, by anything of the same model.
    case encoded(EncodedImage)
    /// A film, of which a model that was trained on films sees some frames, each behind its time.
    case film(Film)
  }

  /// What the answer follows.
  public enum Prompt: Sendable {
    /// A conversation in the model's template: system messages first, a user's message last. A last
    /// message of the assistant is the beginning of the answer, which goes on behind it. Where the
    /// template is `.none` it is one user's message, whose text goes on.
    case messages([Message])
    /// A text that goes on, without a template; special tokens in it are such.
    case text(String)
    /// Ids of the model's vocabulary, which go on.
    case tokens([Int])
  }

  /// What the answer follows.
  public var prompt: Prompt
  /// How the answer is made. The same options give the text that a `Conversation` gives.
  public var options: AnswerOptions
  /// Which of several answers to one request this is: the seed is `options.seed + choice`.
  public var choice: Int
  /// Alternatives to each token that are told with their probabilities, 0 to 100; nil for no
  /// probabilities, 0 for that of the token alone.
  public var alternatives: Int?
  /// Whose request it is. Clients take turns.
  public var client: String
  /// Variables for a template in Jinja beside the engine's own: a JSON object, such as
  /// `{"enable_thinking": false}`; nil for none.
  public var templateArguments: String?
  /// How long it may take from now to its end; nil for as long as the engine's options say.
  public var deadline: Duration?

  /// A request that differs from the defaults where something is given.
  public init(
    _ prompt: Prompt, options: AnswerOptions = AnswerOptions(), choice: Int = 0,
    alternatives: Int? = nil, client: String = "", templateArguments: String? = nil,
    deadline: Duration? = nil
  ) {
    self.prompt = prompt
    self.options = options
    self.choice = choice
    self.alternatives = alternatives
    self.client = client
    self.templateArguments = templateArguments
    self.deadline = deadline
  }
}
