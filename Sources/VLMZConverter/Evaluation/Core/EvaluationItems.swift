import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// What models are judged on, in the form that they take: the same for all of them.
struct EvaluationItems: Sendable {
  /// One of them by its number in its list.
  enum Item: Hashable, Sendable {
    case picture(Int)
    case sequence(Int)
  }

  /// What image models look at.
  var pictures: [CalibrationData.Picture] = []
  /// What a text tower reads: the ids of each.
  var captions: [[Int]] = []
  /// What language models read.
  var sequences: [TokenSequence] = []

  var isEmpty: Bool { pictures.isEmpty && captions.isEmpty && sequences.isEmpty }

  /// What of the data could not be read.
  private(set) var unreadable: [any ReportableError] = []

  /// How many of them there are at most; of more they are taken evenly.
  struct Limits: Sendable, Equatable {
    /// Positions that a language model reads.
    var tokens = 8192
    /// Pictures that an image model sees; nil for all.
    var pictures: Int?
    /// Captions that a text tower reads; nil for all.
    var captions: Int?
    /// Questions with answers that the reference answers itself too, to see whether another model
    /// does so alike. They are no part of `Measurement.loss`.
    var answers = 0
    /// Tokens of an answer that the reference writes; 0 for no answers at all.
    var answerTokens = 48
  }

  /// Nothing.
  init() {}

  /// - Parameters:
  ///   - model: whose tokenizer and templates are used. It answers questions that have no answer;
  ///     pictures that come without words are asked about.
  ///   - preprocessing: how pictures are prepared; nil for what the model's file says.
  ///   - progress: called with steps done, of all, and what runs, while the model writes.
  /// - Throws: what the model throws.
  init(
    _ model: Model, _ data: CalibrationData, _ limits: Limits, preprocessing: Preprocessing? = nil,
    cancelled: CancellationFlag? = nil, progress: (Int, Int, String) -> Void = { _, _, _ in }
  ) throws {
    if let language = model.language {
      let found = try SequenceData(model, language).sequences(
        data.readable(bySighted: language.pictures != nil), count: limits.tokens)
      (sequences, unreadable) = (found.sequences, found.leftOut)
      guard limits.answerTokens > 0 else {
        sequences.removeAll { $0.countedTokens == 0 }
        return
      }
      let writer = try AnswerWriter(model, preprocessing: preprocessing, cancelled: cancelled)
      do { try answer(with: writer, limits, progress) } catch let error as ModelError
        where error.problem == .cancelled
      {
        throw WorkCancelled()
      }
      return
    }
    let all = data.pictures + data.dialogues.flatMap(\.pictures)
    pictures = limits.pictures.map { all.evenly($0) } ?? all
    guard model.vision?.clip != nil else { return }
    let lines = PreparedData.lines(of: data)
    guard !lines.isEmpty else { return }
    let reader = try model.textReader()
    captions = try (limits.captions.map { lines.evenly($0) } ?? lines)
      .compactMap { try reader?.ids(of: $0) }
  }

  /// Answers what has no answer, and some of what has one.
  private mutating func answer(
    with writer: AnswerWriter, _ limits: Limits, _ progress: (Int, Int, String) -> Void
  ) throws {
    let asked = sequences.indices.filter { sequences[$0].kind == .givenAnswer }
    let open = asked.filter { sequences[$0].countedTokens == 0 }
    let chosen = asked.filter { sequences[$0].countedTokens > 0 }.evenly(limits.answers)
    var written: [Int: TokenSequence] = [:]
    for (step, index) in (open + chosen).enumerated() {
      progress(step, open.count + chosen.count, "answers")
      do {
        let answer = try writer.answer(sequences[index], tokens: limits.answerTokens)
        var sequence = sequences[index]
        sequence.ids = sequence.ids.prefix(sequence.promptCount) + answer
        sequence.kind = .ownAnswer
        written[index] = sequence
      } catch let error as any ReportableError where AnswerWriter.isAboutPicture(error) {
        unreadable.append(error)
      }
    }
    let unread = Set(open).subtracting(written.keys)
    let kept = sequences.indices.filter { !unread.contains($0) }
    let isOpen = Set(open)
    sequences =
      kept.map { isOpen.contains($0) ? written[$0] ?? sequences[$0] : sequences[$0] }
      .filter { $0.countedTokens > 0 }
    extraStart = sequences.count
    sequences += chosen.compactMap { written[$0] }.filter { $0.countedTokens > 0 }
  }

  /// Where the sequences begin that are no part of the loss; nil where none are.
  private var extraStart: Int?

  /// Whether a sequence is a part of the loss.
  func counts(sequence index: Int) -> Bool { extraStart.map { index < $0 } ?? true }
}

extension TokenSequence {
  /// Tokens whose prediction counts.
  var countedTokens: Int { max(0, ids.count - max(1, promptCount)) }
}
