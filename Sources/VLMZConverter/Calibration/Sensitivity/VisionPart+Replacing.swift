import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMZ

/// Towers with a matrix replaced: of a classifier the divergence of its classes, of others the
/// relative error of what they make.
extension VisionPart: ReplaceablePart {
  func beginComparing(stage: Int, _ amount: SensitivityRun.Amount) throws {
    compared = try pictures.evenly(amount.pictures).map { picture in
      let pixels = try session.preprocessing.apply(picture.open(), name: picture.name)
      return (pixels, try session.run([pixels])[0])
    }
  }

  func loss(stage: Int, with replaced: ReplacedModel) throws -> Double {
    let other = try Session(of: try replaced.model())
    let sum = try compared.reduce(0.0) { sum, kept in
      let found = try other.run([kept.pixels])[0]
      return sum + Self.loss(found, of: kept.vector, as: session.scores)
    }
    return session.shareOfTower * sum / Double(max(1, compared.count))
  }

  /// Of one picture.
  static func loss(_ found: ImageVector, of exact: ImageVector, as scores: Scores) -> Double {
    if let (p, q) = exact.logits.flatMap({ p in found.logits.map { (p, $0) } }),
      let divergence = ClassScores.divergence(of: q, from: p, as: scores)
    {
      return divergence
    }
    return ResidualNoise.turn(
      found.logits ?? found.embedding, from: exact.logits ?? exact.embedding)
  }

  func endComparing() { compared = [] }
}

extension Session {
  /// What a tower's loss counts in the model's: of two towers the mean does.
  fileprivate var shareOfTower: Double { clip == nil ? 1 : 0.5 }
}

extension CaptionPart: ReplaceablePart {
  func beginComparing(stage: Int, _ amount: SensitivityRun.Amount) throws {
    // A caption is a fraction of a picture's work.
    compared = try ids.evenly(2 * amount.pictures).map { ids in
      (ids, try session.embed(texts: [ids]).flatMap { $0 })
    }
  }

  func loss(stage: Int, with replaced: ReplacedModel) throws -> Double {
    let other = try Session(of: try replaced.model())
    let sum = try compared.reduce(0.0) { sum, kept in
      sum
        + ResidualNoise.turn(
          try other.embed(texts: [kept.ids]).flatMap { $0 }, from: kept.vector)
    }
    return session.shareOfTower * sum / Double(max(1, compared.count))
  }

  func endComparing() { compared = [] }
}

extension SightPart: ReplaceablePart {
  func beginComparing(stage: Int, _ amount: SensitivityRun.Amount) throws {
    compared = try pictures.evenly(amount.pictures).map { picture in
      let prepared = try language.prepare(picture)
      return (prepared, try language.encode(prepared, pool: pool))
    }
  }

  func loss(stage: Int, with replaced: ReplacedModel) throws -> Double {
    guard case .imageAndLanguage(let model) = try replaced.layers() else { return 0 }
    let sum = try compared.reduce(0.0) { sum, kept in
      let found = try model.encode(
        kept.picture.inputs, layout: kept.picture.layout, pool: pool)
      return sum + ResidualNoise.mean(found.rows, of: kept.tokens.rows)
    }
    // Visual tokens are what enters the first block.
    return ResidualNoise.divergence * sum / Double(max(1, compared.count))
  }

  func endComparing() { compared = [] }
}
