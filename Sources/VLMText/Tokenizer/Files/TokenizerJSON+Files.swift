import VLMFoundation

extension TokenizerJSON {
  /// Builds the `tokenizer.json` that transformers creates from `vocab.json` and `merges.txt`, for
  /// classes that use these.
  ///
  /// - Parameters:
  ///   - kind: the tokenizer class, without `Fast`.
  ///   - prefixesSpace: whether a space is prepended to a text (`add_prefix_space`).
  package static func composed(
    vocabulary: JSONValue, merges: [UInt8], kind: String, prefixesSpace: Bool, file: String
  ) throws(TextError) -> JSONValue {
    let lines = merges.split(whereSeparator: { $0 == 0x0a || $0 == 0x0d }).map {
      String(decoding: $0, as: UTF8.self)
    }
    // The first line is a header; a merge may also begin with a number sign.
    let pairs = lines.first?.hasPrefix("#version") == true ? lines.dropFirst() : lines[...]
    let bytes: JSONValue = [
      "type": "ByteLevel", "add_prefix_space": .bool(prefixesSpace), "use_regex": .bool(true),
    ]
    var normalizer = JSONValue.null
    var words = bytes
    var suffix = ""
    switch kind {
    case "GPT2Tokenizer": break
    case "Qwen2Tokenizer":
      normalizer = ["type": "NFC"]
      let plain: JSONValue = [
        "type": "ByteLevel", "add_prefix_space": .bool(prefixesSpace), "use_regex": .bool(false),
      ]
      words = ["type": "Sequence", "pretokenizers": [Self.split(.qwen2), plain]]
    case "CLIPTokenizer": suffix = "</w>"
    default:
      throw TextError(
        file: file, place: "tokenizer_config.json: tokenizer_class",
        .value(
          found: kind.isEmpty ? "none" : kind,
          expected:
            "GPT2Tokenizer, Qwen2Tokenizer or CLIPTokenizer beside vocab.json; for another, "
            + "a tokenizer.json, which transformers writes: "
            + "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"))
    }
    // Special tokens that the classes define by default.
    let added = ["<|startoftext|>", "<|endoftext|>"].compactMap { name -> JSONValue? in
      vocabulary[name].map { ["id": $0, "content": .string(name), "special": .bool(true)] }
    }
    return [
      "added_tokens": .array(added), "normalizer": normalizer, "pre_tokenizer": words,
      "model": [
        "type": "BPE", "vocab": vocabulary, "merges": .array(pairs.map { .string($0) }),
        "end_of_word_suffix": .string(suffix),
      ],
    ]
  }

  private static func split(_ pattern: TextPattern) -> JSONValue {
    let source = TextPattern.sources.first { $0.value == pattern }?.key ?? ""
    return ["type": "Split", "pattern": ["Regex": .string(source)], "behavior": "Isolated"]
  }
}
