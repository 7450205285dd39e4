import VLMTensor

/// The rules of `formats/blocks.md` that only a look at the bytes can check.
enum BlockCheck {
  /// Which rule the blocks of `tensor` break first, nil when none.
  static func problem(_ tensor: TensorEntry, _ bytes: UnsafeRawBufferPointer) -> String? {
    nil
  }
}
