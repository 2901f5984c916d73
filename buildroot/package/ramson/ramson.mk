################################################################################
#
# ramson
#
################################################################################

# The tree that this external tree lies in. It is built offline: "cargo vendor VENDOR" has to have
# been run in it, and what that prints has to stand in its .cargo/config.toml.
RAMSON_VERSION = 0.1.0
RAMSON_SITE = $(BR2_EXTERNAL_RAMSON_PATH)/..
RAMSON_SITE_METHOD = local
RAMSON_LICENSE = MIT or Apache-2.0
RAMSON_LICENSE_FILES = LICENSE-MIT LICENSE-APACHE

# What the workspace's own release profile says; Buildroot's environment would say otherwise.
RAMSON_CARGO_ENV = \
	CARGO_PROFILE_RELEASE_LTO=thin \
	CARGO_PROFILE_RELEASE_OPT_LEVEL=3

RAMSON_CARGO_BUILD_OPTS = --package ramson-router --package ramson-gateway

define RAMSON_INSTALL_TARGET_CMDS
	$(foreach program,routerd gatewayd supervisor console updater ramson,\
		$(INSTALL) -D -m 0755 $(@D)/target/$(RUSTC_TARGET_NAME)/release/$(program) \
			$(TARGET_DIR)/usr/bin/$(program)
	)
endef

$(eval $(cargo-package))
