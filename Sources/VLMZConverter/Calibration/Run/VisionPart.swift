import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMZ

/// The tower of an image model over pictures, with what stands on it.
final class VisionPart: CalibrationPart {
  let session: Session
  let pictures: [CalibrationData.Picture]
  /// Pictures, with what is made of them, of the runs with a matrix replaced.
  var compared: [(pixels: PixelTensor, vector: ImageVector)] = []

  let name = "pictures"
  let stageCount = 1
  var stepCount: Int { pictures.count }

  /// - Parameter session: of the model that is observed, with threads for `CalibrationThreads`.
  init(_ session: Session, _ pictures: [CalibrationData.Picture]) {
    self.session = session
    self.pictures = pictures
  }

  func probe(stage: Int) throws {
    if let first = pictures.first { try look(at: first) }
  }

  func run(stage: Int, isLast: Bool, step: () throws -> Void) throws {
    for picture in pictures {
      try step()
      try look(at: picture)
    }
  }

  private func look(at picture: CalibrationData.Picture) throws {
    let pixels = try session.preprocessing.apply(picture.open(), name: picture.name)
    do { _ = try session.run([pixels]) } catch let error as ModelError where error.file == nil {
      throw ModelError(file: picture.name, error.problem)
    }
  }
}

/// The text tower of a CLIP over captions.
final class CaptionPart: CalibrationPart {
  let session: Session
  let ids: [[Int]]
  /// Captions, with what is made of them, of the runs with a matrix replaced.
  var compared: [(ids: [Int], vector: [Float])] = []

  let name = "captions"
  let stageCount = 1
  var stepCount: Int { ids.count }

  init(_ session: Session, _ ids: [[Int]]) {
    self.session = session
    self.ids = ids
  }

  func probe(stage: Int) throws {
    if let first = ids.first { _ = try session.embed(texts: [first]) }
  }

  func run(stage: Int, isLast: Bool, step: () throws -> Void) throws {
    for ids in ids {
      try step()
      _ = try session.embed(texts: [ids])
    }
  }
}

/// The eyes of a LLaVA, tower and projector, over the pictures that its language model reads.
final class SightPart: CalibrationPart {
  let language: LanguageModel
  let pictures: [CalibrationData.Picture]
  let pool: WorkerPool
  /// Pictures, with what is made of them, of the runs with a matrix replaced.
  var compared: [(picture: PreparedPicture, tokens: VisualTokens)] = []

  let name = "pictures"
  let stageCount = 1
  var stepCount: Int { pictures.count }

  init(_ language: LanguageModel, _ pictures: [CalibrationData.Picture], pool: WorkerPool) {
    self.language = language
    self.pictures = pictures
    self.pool = pool
  }

  func probe(stage: Int) throws {
    if let first = pictures.first { _ = try language.visualTokens(of: first, pool: pool) }
  }

  func run(stage: Int, isLast: Bool, step: () throws -> Void) throws {
    for picture in pictures {
      try step()
      _ = try language.visualTokens(of: picture, pool: pool)
    }
  }
}

extension LanguageModel {
  /// What the language model sees of a picture.
  ///
  /// - Parameter isOneOfSeveral: whether its conversation has others.
  func visualTokens(
    of picture: CalibrationData.Picture, isOneOfSeveral: Bool = false, pool: WorkerPool
  ) throws -> VisualTokens {
    let prepared = try prepare(picture, isOneOfSeveral: isOneOfSeveral)
    do { return try encode(prepared, pool: pool) } catch let error as ModelError
      where error.file == nil
    {
      throw ModelError(file: picture.name, error.problem)
    }
  }
}
