include $(sort $(wildcard $(BR2_EXTERNAL_RAMSON_PATH)/package/*/*.mk))
