import Testing
import VLMFoundation
import VLMServer
import VLMZ

@Suite struct ChatRequestTests {
  private func chat(_ text: String) throws -> ChatRequest {
    try ChatRequest(try body(text), limits: small, randomSeed: { 42 })
  }

  private func refused(_ text: String) -> APIError? { refusal { _ = try chat(text) } }

  private func said(_ content: String, _ more: String = "") -> String {
    #"{"messages": [{"role": "user", "content": \#(content)}]\#(more)}"#
  }

  @Test func whatIsLeftOutIsAsTheModelsMakersWantIt() throws {
    let options = try chat(said(#""Hi""#)).parameters.options
    #expect(options == AnswerOptions(maximumTokens: 50, seed: 42))
  }

  @Test func parametersReachTheOptions() throws {
    let request = try chat(
      said(
        #""Hi""#,
        #", "temperature": 0.5, "top_p": 0.9, "seed": -1, "max_tokens": 7, "n": 3, "stop": "x","#
          + #" "logprobs": true, "top_logprobs": 2, "top_k": 40, "repeat_penalty": 1.1"#))
    #expect(
      request.parameters.options
        == AnswerOptions(
          maximumTokens: 7, temperature: 0.5, topK: 40, topP: 0.9, repeatPenalty: 1.1,
          seed: UInt64.max, stopStrings: ["x"]))
    #expect(request.parameters.count == 3)
    #expect(request.parameters.alternatives == 2)
  }

  @Test func limitsByTwoNamesAreTheSameAndTheServersLimitHolds() throws {
    let request = try chat(said(#""Hi""#, #", "max_tokens": 9, "max_completion_tokens": 9"#))
    #expect(request.parameters.options.maximumTokens == 9)
    for both in [
      #""max_tokens": 7, "max_completion_tokens": 9"#,
      #""repeat_penalty": 1.1, "repetition_penalty": 1.2"#,
    ] {
      let error = refusal { _ = try chat(said(#""Hi""#, ", " + both)) }
      #expect(error?.status == 400)
      #expect(error?.message.hasSuffix("expected one of them") == true)
    }
    let long = try chat(said(#""Hi""#, #", "max_tokens": 5000"#))
    #expect(long.parameters.options.maximumTokens == 50)
  }

  @Test func picturesStandBeforeTheTextUnlessTheyStandBetweenTexts() throws {
    let picture = #"{"type": "image_url", "image_url": {"url": "\#(pixel)", "detail": "low"}}"#
    func part(_ text: String) -> String { #"{"type": "text", "text": "\#(text)"}"# }
    let behind = try chat(said("[\(part("What?")), \(picture)]")).messages[0]
    #expect(behind.text == "What?")
    #expect(behind.pictures.count == 1)
    let between = try chat(said("[\(part("From")), \(picture), \(part("to")), \(picture)]"))
    #expect(between.messages[0].text == "From\n<image>\nto\n<image>")
    #expect(between.messages[0].pictures.count == 2)
  }

  @Test func rolesOfOtherMakersAreKnown() throws {
    let request = try chat(
      #"{"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "a"},"#
        + #" {"role": "assistant", "content": null, "tool_calls": []}, {"role": "user", "content": "b"}]}"#
    )
    #expect(request.messages.map(\.role) == [.system, .user, .assistant, .user])
  }

  @Test(
    "what cannot be followed is refused by name",
    arguments: [
      (#", "tools": [{"type": "function"}]"#, "tools[0].function"),
      (#", "presence_penalty": 3"#, "presence_penalty"),
      (#", "temprature": 1"#, "temprature"), (#", "temperature": 2.5"#, "temperature"),
      (#", "n": 0"#, "n"), (#", "n": 1.5"#, "n"), (#", "stream": "yes""#, "stream"),
      (#", "stream_options": {"include_usage": true}"#, "stream_options"),
      (#", "top_logprobs": 3"#, "top_logprobs"), (#", "stop": [""]"#, "stop"),
      (#", "seed": 1.5"#, "seed"),
      (#", "response_format": {"type": "xml"}"#, "response_format.type"),
      (#", "logit_bias": {"x": 1}"#, "logit_bias"),
      (#", "logit_bias": {"5": 101}"#, "logit_bias"),
      (#", "guided_choice": "yes""#, "guided_choice"),
      (#", "guided_choice": []"#, "guided_choice"),
      (
        #", "response_format": {"type": "json_schema", "json_schema": {"name": "a"}}"#,
        "response_format.json_schema.schema"
      ),
      (#", "grammar": "root ::= [a]", "guided_json": {}"#, "guided_json"),
      (#", "chat_template_kwargs": 1"#, "chat_template_kwargs"),
      (#", "modalities": ["audio"]"#, "modalities"),
    ])
  func refusesByName(_ more: String, _ name: String) {
    let error = refused(said(#""Hi""#, more))
    #expect(error?.parameter == name)
    #expect(error?.status == 400)
  }

  @Test func whatAsksForNothingIsIgnored() throws {
    let more =
      #", "tools": [], "presence_penalty": 0.0, "frequency_penalty": 0, "logit_bias": {}, "user": "me","#
      + #" "tool_choice": "none", "functions": null, "store": true, "modalities": ["text"]"#
    #expect(try chat(said(#""Hi""#, more)).messages.count == 1)
  }

  @Test(
    "messages that cannot be are refused with their place",
    arguments: [
      (#"[]"#, "messages"), (#"[{"role": "tool", "content": "a"}]"#, "messages[0].role"),
      (#"[{"role": "user"}]"#, "messages[0].content"), (#"[5]"#, "messages[0]"),
      (#"[{"role": "user", "content": [{"type": "audio"}]}]"#, "messages[0].content[0].type"),
      (#"[{"role": "assistant", "content": "b"}]"#, "messages"),
      (#"[{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]"#, "messages"),
      (
        #"[{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": "#
          + #"[{"function": {"name": "f"}}]}]"#, "messages"
      ),
    ])
  func refusesMessages(_ messages: String, _ place: String) {
    #expect(refused(#"{"messages": \#(messages)}"#)?.parameter == place)
  }

  @Test func aLastMessageOfTheAssistantIsTheBeginningOfTheAnswer() throws {
    func begun(_ more: String) throws -> ChatRequest {
      try chat(
        #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "A cup "}]"#
          + more + "}")
    }
    let last = try #require(try begun("").messages.last)
    #expect(last.role == .assistant)
    #expect(last.text == "A cup ")
    let vLLM = #", "continue_final_message": true, "add_generation_prompt": false"#
    #expect(try begun(vLLM).messages.count == 2)
    for more in [#", "continue_final_message": false"#, #", "add_generation_prompt": true"#] {
      #expect(refusal { _ = try begun(more) }?.status == 400)
    }
    #expect(refused(said(#""a""#, #", "continue_final_message": true"#)) != nil)
    let call =
      #", "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required""#
    #expect(refusal { _ = try begun(call) }?.parameter == "tool_choice")
  }

  @Test func picturesAreLimitedInNumberAndSize() {
    let picture = #"{"type": "image_url", "image_url": "\#(pixel)"}"#
    let many = refused(said("[\(picture), \(picture), \(picture)]"))
    #expect(many?.message.contains("at most 2 pictures") == true)
    let limits = ServerLimits(picturePixels: 1)
    let wide =
      "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAC0lEQVR42mP4"
      + "DwYAFPIF+zepC7kAAAAASUVORK5CYII="
    #expect(refusal { _ = try ExplainRequest(["input": .string(pixel)], limits: limits) } == nil)
    #expect(refusal { _ = try ExplainRequest(["input": .string(wide)], limits: limits) } != nil)
  }

  @Test(
    "pictures are neither fetched nor read from files",
    arguments: ["http://a/b.png", "HTTPS://a", "file:///etc/passwd", "/etc/passwd", "data:,a", ""])
  func refusesAddresses(_ address: String) {
    let error = refusal { _ = try ClassifyRequest(["input": .string(address)], limits: small) }
    #expect(error?.status == 400)
    #expect(error?.parameter == "input")
  }

  @Test func schemasAreKept() throws {
    let schema = #"{"type": "object"}"#
    let request = try chat(
      said(
        #""Hi""#,
        #", "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": \#(schema)}}"#
      ))
    let expected = AnswerFormat.jsonSchema(try body(schema).serialized())
    #expect(request.parameters.options.format == expected)
  }

  @Test func formsOfOtherServersAreKnown() throws {
    func format(_ more: String) throws -> AnswerFormat {
      try chat(said(#""Hi""#, ", " + more)).parameters.options.format
    }
    #expect(try format(#""grammar": "root ::= [a]""#) == .grammar("root ::= [a]"))
    #expect(try format(#""guided_grammar": "root ::= [a]""#) == .grammar("root ::= [a]"))
    #expect(try format(#""guided_json": {"type": "null"}"#) == .jsonSchema(#"{"type":"null"}"#))
    #expect(try format(#""json_schema": {"type": "null"}"#) == .jsonSchema(#"{"type":"null"}"#))
    let text = try format(#""guided_json": "{\"type\": \"null\"}""#)
    #expect(text == .jsonSchema(#"{"type": "null"}"#))
    let choice = try format(#""guided_choice": ["yes", "say \"no\"\\\n"]"#)
    #expect(choice == .grammar("root ::= \"yes\" | \"say \\\"no\\\"\\\\\\n\"\n"))
    try choice.validate()
  }

  @Test func penaltiesAndBiasesReachTheOptions() throws {
    let more =
      #", "presence_penalty": 0.5, "frequency_penalty": -1, "logit_bias": {"5": -100, "7": 2.5}"#
    let options = try chat(said(#""Hi""#, more)).parameters.options
    #expect(options.presencePenalty == 0.5)
    #expect(options.frequencyPenalty == -1)
    #expect(options.tokenBiases == [5: -100, 7: 2.5])
  }

  @Test func variablesForTheTemplateAreHandedOn() throws {
    let given = try chat(
      said(
        #""Hi""#,
        #", "chat_template_kwargs": {"enable_thinking": true}, "reasoning_effort": "none""#)
    )
    let found = try body(try #require(given.parameters.templateArguments))
    #expect(found == ["reasoning_effort": "none", "enable_thinking": true])
    #expect(try chat(said(#""Hi""#)).parameters.templateArguments == nil)
  }
}
