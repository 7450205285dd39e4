import VLMFoundation
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// Compares what a model makes of items with what the reference made of them, as it comes.
final class Comparison: OutputSink {
  private let items: EvaluationItems
  private let reference: ReferenceOutputs?
  private let scores: Scores
  private let pool: WorkerPool
  private var captions: [[Float]] = []
  private var sequences: [Int: Measurement.Sequence] = [:]
  private var found = Measurement()
  private var left: Set<EvaluationItems.Item> = []
  private(set) var skipped: [(item: EvaluationItems.Item, error: any ReportableError)] = []

  /// - Parameters:
  ///   - reference: nil for what can be said without one.
  ///   - scores: what is made of logits of classes.
  ///   - pool: compares tokens.
  init(
    _ items: EvaluationItems, reference: ReferenceOutputs?, scores: Scores, pool: WorkerPool
  ) {
    self.items = items
    self.reference = reference
    self.scores = scores
    self.pool = pool
  }

  /// What was found, when all is run.
  var measurement: Measurement {
    var result = found
    result.sequences = sequences.values.sorted { $0.index < $1.index }
    return result
  }

  func wants(_ item: EvaluationItems.Item) -> Bool {
    !left.contains(item) && (reference?.has(item) ?? true)
  }

  func skip(_ item: EvaluationItems.Item, _ error: any ReportableError) {
    skipped.append((item, error))
    left.insert(item)
  }

  // MARK: - Image models

  func take(picture index: Int, _ output: ImageVector) throws {
    var picture = Measurement.Picture(index: index)
    picture.decision = decision(output.logits)
    if let reference = try reference?.output(ofPicture: index) {
      picture.comparison = try compare(output, reference)
    }
    found.pictures.append(picture)
  }

  private func decision(_ logits: [Float]?) -> Measurement.Decision? {
    guard let logits, let best = ClassScores.top(1, of: logits, as: scores).first else {
      return nil
    }
    return Measurement.Decision(top: best.index, confidence: best.score)
  }

  private func compare(
    _ output: ImageVector, _ reference: ImageVector
  ) throws -> Measurement.PictureComparison {
    guard output.embedding.count == reference.embedding.count,
      output.logits?.count == reference.logits?.count
    else { throw EvaluationError(.otherOutputs) }
    guard let q = output.logits, let p = reference.logits else {
      return Measurement.PictureComparison(
        cosine: Self.cosine(output.embedding, reference.embedding),
        retrieval: retrieval(output.embedding, reference.embedding))
    }
    return Measurement.PictureComparison(
      decision: decision(p), cosine: Self.cosine(q, p),
      divergence: ClassScores.divergence(of: q, from: p, as: scores),
      agrees: ClassScores.agree(p, q, as: scores))
  }

  private func retrieval(_ q: [Float], _ p: [Float]) -> Measurement.Retrieval? {
    guard let texts = reference?.captions, !texts.isEmpty, texts.count == captions.count else {
      return nil
    }
    let count = min(5, texts.count)
    func best(_ image: [Float], _ texts: [[Float]]) -> [Int] {
      ClassScores.top(
        count, of: ZeroShot.logits(image: image, texts: texts, scale: 1), as: .raw
      ).map(\.index)
    }
    let (model, reference) = (best(q, captions), best(p, texts))
    return Measurement.Retrieval(
      sameBest: model.first == reference.first,
      fiveShared: Double(Set(model).intersection(reference).count) / Double(count))
  }

  func take(caption index: Int, _ embedding: [Float]) throws {
    captions.append(embedding)
    guard let reference, index < reference.captions.count else { return }
    let other = reference.captions[index]
    guard other.count == embedding.count else { throw EvaluationError(.otherOutputs) }
    found.captionCosines.append(Self.cosine(embedding, other))
  }

  // MARK: - Language models

  func take(visualTokens: VisualTokens, picture: Int, ofSequence index: Int) throws {
    guard let other = try reference?.visualTokens(ofPicture: picture, sequence: index) else {
      return
    }
    let rows = visualTokens.rows
    guard other.count == rows.rows * rows.columns else { throw EvaluationError(.otherOutputs) }
    let cosines = (0..<rows.rows).map { row in
      rows.withRow(row) { Self.cosine($0, other[row * rows.columns..<(row + 1) * rows.columns]) }
    }
    change(index) { $0.visualCosines += cosines }
  }

  func take(logits: MatrixView, first: Int, ofSequence index: Int) throws {
    let sequence = items.sequences[index]
    let start = sequence.ids.count - sequence.countedTokens + first
    let next = sequence.ids[start..<start + logits.rows]
    var known: (predictions: ReferenceOutputs.Predictions, logits: [Float])?
    if let reference, let predictions = reference.predictions(ofSequence: index) {
      guard reference.vocabulary == logits.columns else { throw EvaluationError(.otherOutputs) }
      known = (
        predictions, try reference.logits(predictions, first: first, count: logits.rows)
      )
    }
    var tokens = [Measurement.Token](
      repeating: Measurement.Token(loss: 0, isBest: false), count: logits.rows)
    tokens.withUnsafeMutableBufferPointer { tokens in
      pool.forEach(count: logits.rows) { row, _ in
        let id = next[next.startIndex + row]
        logits.withRow(row) { values in
          let model = TokenRow(values)
          tokens[row] = model.token(id)
          guard let known else { return }
          known.logits.withUnsafeBufferPointer { all in
            let place = row * logits.columns
            let reference = TokenRow(
              UnsafeBufferPointer(rebasing: all[place..<place + logits.columns]),
              sum: known.predictions.sums[first + row], best: known.predictions.best[first + row])
            tokens[row].comparison = model.comparison(with: reference, id)
          }
        }
      }
    }
    change(index) { $0.tokens += tokens }
  }

  private func change(_ index: Int, _ body: (inout Measurement.Sequence) -> Void) {
    body(
      &sequences[index, default: .init(index: index, counts: items.counts(sequence: index))])
  }

  /// Σab / √(Σa² · Σb²), in f64; 0 for a vector of zeros.
  static func cosine(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Double {
    var (dot, aa, bb) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      dot += Double(x) * Double(y)
      aa += Double(x) * Double(x)
      bb += Double(y) * Double(y)
    }
    return aa * bb > 0 ? dot / (aa * bb).squareRoot() : 0
  }
}
