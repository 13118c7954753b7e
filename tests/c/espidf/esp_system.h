void esp_system_abort(const char *why);
