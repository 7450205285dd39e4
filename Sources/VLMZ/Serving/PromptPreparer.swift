import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

/// A request on its way to a prompt: those of its pictures that are encoded. Belongs to one thread at a
/// time.
final class PromptPreparation: @unchecked Sendable {
  let ticket: EngineTicket
  fileprivate var images: [VisualTokens] = []
  fileprivate var digests: [PictureDigest] = []

  init(_ ticket: EngineTicket) { self.ticket = ticket }

  /// The first picture that is not encoded.
  fileprivate var next: PromptPicture? {
    images.count < ticket.pictures.count ? ticket.pictures[images.count] : nil
  }
}

/// Encodes the pictures of prompts; keeps those that were used last. Belongs to one thread.
final class PromptPreparer {
  private let model: Model
  private let language: LanguageModel
  private let frame: PromptFrame
  private let options: BatchEngineOptions
  private let pagePositions: Int
  /// Encoded pictures, the one that was used last at the end.
  private var kept: [(digest: PictureDigest, tokens: VisualTokens)] = []
  private(set) var encodedCount = 0
  private(set) var hitCount = 0

  init(
    _ model: Model, _ frame: PromptFrame, _ options: BatchEngineOptions, pagePositions: Int
  ) {
    self.model = model
    language = frame.language
    self.frame = frame
    self.options = options
    self.pagePositions = pagePositions
  }

  /// Encodes the next picture of a prompt.
  ///
  /// - Returns: the prompt; nil while it has more pictures.
  /// - Throws: what a picture is refused for, and `.tooLong` for more than the context has room for.
  func step(_ preparation: PromptPreparation) throws -> PreparedPrompt? {
    let ticket = preparation.ticket
    if let picture = preparation.next {
      let (digest, tokens) = try encode(
        picture, isOneOfSeveral: ticket.pictures.count > 1, ticket.flag)
      preparation.images.append(tokens)
      preparation.digests.append(digest)
    }
    guard preparation.next == nil else { return nil }
    let visual = preparation.images.reduce(0) { $0 + $1.positionCount }
    try frame.requireRoom(ticket.ids, visual: visual)
    return try PreparedPrompt(
      ticket.ids, images: preparation.images, digests: preparation.digests,
      scope: options.scope(of: ticket.client), pagePositions: pagePositions)
  }

  private func encode(
    _ picture: PromptPicture, isOneOfSeveral: Bool, _ flag: CancellationFlag
  ) throws -> (PictureDigest, VisualTokens) {
    switch picture {
    case .encoded(let image):
      let rows = image.tokens.rows
      let digest = PictureDigest("tokens", shape: [rows.rows, rows.columns]) { hash in
        for row in 0..<rows.rows { rows.withRow(row) { hash.update(UnsafeRawBufferPointer($0)) } }
      }
      return (digest, image.tokens)
    case .image(let image):
      return try encode(image, PictureGeometry(isOneOfSeveral: isOneOfSeveral), flag)
    case .frame(let film, let number):
      var geometry = PictureGeometry()
      geometry.isFrame = true
      return try encode(try film.frame(number), geometry, flag)
    }
  }

  private func encode(
    _ image: Image, _ geometry: PictureGeometry, _ flag: CancellationFlag
  ) throws -> (PictureDigest, VisualTokens) {
    let prepared = try image.withSource { source in
      try language.prepare(source, name: image.name, geometry: geometry, limits: image.limits)
    }
    let digest = PictureDigest(prepared)
    if let place = kept.firstIndex(where: { $0.digest == digest }) {
      hitCount += 1
      kept.append(kept.remove(at: place))
      return (digest, kept[kept.count - 1].tokens)
    }
    try flag.check()
    let tokens = try ModelError.inFile(image.name) {
      try language.encode(prepared, pool: model.pool, cancelled: flag)
    }
    try flag.check()
    encodedCount += 1
    keep(digest, tokens)
    return (digest, tokens)
  }

  private func keep(_ digest: PictureDigest, _ tokens: VisualTokens) {
    func bytes(_ tokens: VisualTokens) -> Int {
      tokens.count * tokens.columns * MemoryLayout<Float>.stride
    }
    kept.append((digest, tokens))
    var total = kept.reduce(0) { $0 + bytes($1.tokens) }
    while total > options.pictureCacheBytes, !kept.isEmpty {
      total -= bytes(kept.removeFirst().tokens)
    }
  }
}

extension BatchEngineOptions {
  /// Who shares what a client's prompts have computed.
  func scope(of client: String) -> String { prefixSharing == .perClient ? client : "" }
}
