/// What is said to a model that is calibrated without data. It writes the rest itself.
enum OwnTexts {
  /// Openings of conversations, of many kinds.
  static let questions = [
    "What is the capital of France?",
    "Explain in two sentences why the sky is blue.",
    "Write a short story about a lighthouse keeper and a lost ship.",
    "How do I boil an egg?",
    "List five animals that live in the sea.",
    "Translate into French: The train leaves at seven in the morning.",
    "What is 17 times 23?",
    "Write a Python function that reverses a list.",
    "Summarise the story of Romeo and Juliet.",
    "Give me some advice for sleeping better.",
    "What are the differences between a virus and a bacterium?",
    "Compose a letter that thanks a teacher.",
    "Who wrote The Origin of Species, and what is it about?",
    "Describe the taste of an orange to someone who has never eaten one.",
    "What happened in 1969 on the Moon?",
    "Make a plan for a week of holidays in the mountains.",
    "Why do leaves change their colour in autumn?",
    "Name three rivers in Africa and where they end.",
    "Convert 100 degrees Fahrenheit to Celsius.",
    "Tell me a joke about computers.",
    "What should I consider before I buy a used car?",
    "Write a poem of four lines about rain.",
    "How does a bicycle stay upright?",
    "Sort these words by the alphabet: pear, apple, cherry, banana.",
  ]

  /// Questions about a picture.
  static let aboutPictures = [
    "What is in the picture?",
    "Describe the image in detail.",
    "What colours do you see?",
    "How many objects are there, and where are they?",
    "What could have happened just before this picture was taken?",
    "Give the picture a short title.",
  ]

  private static let things = [
    "a dog", "a cat", "a horse", "a bird on a branch", "a red car", "a street at night",
    "a mountain lake",
    "a plate of food", "a cup of coffee on a table", "a group of people", "a child with a ball",
    "an old house", "a bicycle", "a train in a station", "a ship at sea", "an airplane", "a flower",
    "a forest in autumn", "a beach", "a computer screen", "an open book", "a map", "a bridge",
    "a kitchen", "a piano", "a clock tower", "a market", "snow on a roof", "a football match",
    "a portrait of a woman", "a man with a hat", "a page of text",
  ]

  private static let frames = [
    "a photo of {}.", "{}", "a blurry picture of {}, taken from far away", "a drawing of {}",
    "two pictures: {} in the morning, and the same in the evening",
  ]

  /// Captions of pictures, for models that liken texts to them.
  static var captions: [String] {
    frames.flatMap { frame in
      things.map { thing in
        frame.parts(between: "{}").joined(separator: thing)
      }
    }
  }
}
