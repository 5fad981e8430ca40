// EngineAPI
