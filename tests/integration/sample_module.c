/* A module for the tests: one command that reads and one that writes. */
#include "redismodule.h"

static int sample_get(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
	RedisModuleCallReply *value;

	if (argc != 2)
		return RedisModule_WrongArity(ctx);
	value = RedisModule_Call(ctx, "GET", "s", argv[1]);
	return RedisModule_ReplyWithCallReply(ctx, value);
}

static int sample_set(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
	RedisModuleCallReply *status;

	if (argc != 3)
		return RedisModule_WrongArity(ctx);
	status = RedisModule_Call(ctx, "SET", "!ss", argv[1], argv[2]);
	return RedisModule_ReplyWithCallReply(ctx, status);
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
	(void)argv;
	(void)argc;
	if (RedisModule_Init(ctx, "sample", 1, REDISMODULE_APIVER_1) == REDISMODULE_ERR ||
	    RedisModule_CreateCommand(ctx, "sample.get", sample_get, "readonly fast", 1, 1, 1) == REDISMODULE_ERR ||
	    RedisModule_CreateCommand(ctx, "sample.set", sample_set, "write deny-oom", 1, 1, 1) == REDISMODULE_ERR)
		return REDISMODULE_ERR;
	return REDISMODULE_OK;
}
