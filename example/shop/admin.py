from django.contrib import admin

from shop.models import Customer, Order, OrderLine, Product, Tag

admin.site.register([Customer, Product, Tag])


class OrderLineInline(admin.TabularInline):
    model = OrderLine
    extra = 0


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ["number", "customer", "branch", "total", "placed"]
    list_filter = ["branch"]
    inlines = [OrderLineInline]
