import VLMCommandLine
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// One picture after the other, each by itself.
extension ConversationRun {
  /// Asks the question of every picture. One about which it cannot be asked has a record in its place.
  func ask(_ question: String, ofEach source: PictureSource, _ conversation: Conversation) throws {
    var table = EmbeddingTable()
    try records.finishing {
      while let picture = try source.next() {
        conversation.forget()
        var encoded = Encoded()
        do {
          let tokens = try add(picture, to: conversation, &encoded)
          if outputs.embed != nil { Self.add(tokens, of: picture, to: &table) }
          try ask(question, conversation, encoded, cancelled: nil, about: picture)
        } catch let error as any ReportableError where !isFatal(error) {
          records.fail(error, members: picture.members)
          // One that was seen has its rows.
          if outputs.embed != nil, encoded.count == 0 { table.add(failure: error, of: picture) }
        }
      }
      try write(table)
    }
  }

  /// Writes the files that are about pictures alone, where nothing is asked.
  func look(at source: PictureSource) throws {
    var table = EmbeddingTable()
    let recording = Recording(outputs, model.language.preprocessing)
    var count = 0
    try records.finishing {
      while let picture = try source.next() {
        let start = Progress.now()
        do {
          guard count == 0 || !outputs.areOfOneImage else {
            throw InputError(picture.place, .several(advice: nil))
          }
          let prepared = try prepare(picture)
          let tokens = try encode(prepared, of: picture, observe: recording.observer)
          count += 1
          if outputs.embed != nil { Self.add(tokens, of: picture, to: &table) }
          report(picture, prepared, tokens, (Progress.now() - start) * 1000)
        } catch let error as any ReportableError where !isFatal(error) {
          records.fail(error, members: picture.members)
          if outputs.embed != nil { table.add(failure: error, of: picture) }
        }
      }
      try write(table)
      try outputs.write(recording.explanation)
      if count > 0 { try outputs.write(dumped: recording.tensors) }
    }
  }

  private func report(
    _ picture: PictureInput, _ prepared: PreparedPicture, _ tokens: VisualTokens,
    _ milliseconds: Double
  ) {
    guard records.format != .text else {
      Report.line(
        "\(picture.title)  (\(prepared.width)×\(prepared.height) input, "
          + "\(counted(tokens.count, "visual token")) of \(tokens.columns) values, "
          + "\(decimal(milliseconds, 1)) ms)")
      return
    }
    var object = picture.members
    object.set("visual_tokens", .int(tokens.count))
    object.set("grid", [.int(tokens.gridHeight), .int(tokens.gridWidth)])
    object.set("milliseconds", .double((milliseconds * 1000).rounded() / 1000))
    records.add(.object(object))
  }
}
